package host

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"

	"github.com/etcdsec/etcdsec/audit"
)

// maxCRL has room for some hundred thousand entries. etcd reads the whole list at every
// handshake.
const maxCRL = 16 << 20

// readCRLs reads the revocation lists of a program and notes which of them cannot be read.
func (c *collector) readCRLs(o *instance) {
	for i := range o.settings.Files {
		f := &o.settings.Files[i]
		if f.Role != audit.CRLFile || f.Reason != "" {
			continue
		}
		data, err := c.readAt(f.Path, o.view, maxCRL)
		if err != nil {
			f.Unread = explainError(err)
			continue
		}
		f.CRL = parseCRL(data)
	}
}

// parseCRL reads a list as etcd does: as PEM only if the file begins with it, as x509.ParseCRL
// does, and only the first block.
func parseCRL(data []byte) *audit.RevocationList {
	list := &audit.RevocationList{PEM: bytes.HasPrefix(data, []byte("-----BEGIN X509 CRL"))}
	if list.PEM {
		block, _ := pem.Decode(data)
		if block == nil {
			list.Fault, list.OldFault = "its PEM has no end", "its PEM has no end"
			return list
		}
		data = block.Bytes
	}
	if len(data) == 0 {
		list.Fault, list.OldFault = "it is empty", "it is empty"
		return list
	}
	//lint:ignore SA1019 it is what etcd up to 3.5 parses with, and takes other lists
	old, err := x509.ParseDERCRL(data) //nolint:staticcheck // as above
	if err != nil {
		list.OldFault = makePrintable(err.Error())
	} else {
		list.NextUpdate = old.TBSCertList.NextUpdate
	}
	parsed, err := x509.ParseRevocationList(data)
	if err != nil {
		list.Fault = makePrintable(err.Error())
	} else {
		list.NextUpdate = parsed.NextUpdate
	}
	return list
}
