package host

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
)

// readPEMs notes which files of a program hold certificates and which hold a key, and whether
// that key belongs to a CA whose certificate is in any of the files.
func (c *collector) readPEMs(o *instance) {
	files := o.settings.Files
	var authorities []crypto.PublicKey
	keys := make([][]crypto.PublicKey, len(files))
	for i := range files {
		f := &files[i]
		if !isPEM(f.Role) || f.Reason != "" {
			continue
		}
		data, err := c.readAt(f.Path, o.view, maxFile)
		if err != nil {
			f.Unread = explainError(err)
			continue
		}
		content := parsePEM(data)
		clear(data)
		f.Certificate, f.PrivateKey, f.Unread = len(content.certs) > 0, content.isKey, content.fault
		for _, cert := range content.certs {
			if f.Unread == "" { // else a check would take a part of the keys for all
				f.PublicKeys = append(f.PublicKeys, keyHash(cert))
			}
			if isAuthority(cert) {
				authorities = append(authorities, cert.PublicKey)
			}
		}
		f.IsCA = !f.PrivateKey && f.Certificate && isAuthority(content.certs[0])
		keys[i] = content.public
	}
	for i, publics := range keys {
		for _, public := range publics {
			if slices.ContainsFunc(authorities, func(authority crypto.PublicKey) bool { return sameKey(authority, public) }) {
				files[i].IsCA = true
			}
		}
	}
}

// isAuthority reports whether a certificate is that of a CA. One of X.509 v1 cannot say so, but
// crypto/x509, and so etcd, lets it sign as a trusted CA.
func isAuthority(cert *x509.Certificate) bool {
	return cert.IsCA || cert.Version < 3 && bytes.Equal(cert.RawSubject, cert.RawIssuer)
}

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// keyHash identifies a public key, whatever else is in its certificate, and however it is encoded there.
func keyHash(cert *x509.Certificate) string {
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		der = cert.RawSubjectPublicKeyInfo // of a kind that crypto/x509 does not know
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// readAt reads a file by the path that the report has of it: on the host, or below
// /proc/PID/root.
func (c *collector) readAt(name string, v *view, limit int64) ([]byte, error) {
	t := c.host
	if inside, found := strings.CutPrefix(name, v.at); v.own != nil && found {
		t, name = v.own, inside
	}
	return t.readFile(name, limit)
}

// pemContent is the content of a PEM file. It has only the public halves of keys.
type pemContent struct {
	certs  []*x509.Certificate
	isKey  bool
	public []crypto.PublicKey
	fault  string // why not all of it is known
}

// parsePEM reads all blocks of a file: a certificate that does not parse must not hide the key
// behind it.
func parsePEM(data []byte) pemContent {
	var content pemContent
	blocks := 0
	for rest := data; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if content.fault == "" && countBeginnings(data) != blocks {
				content.fault = "a PEM block in it is cut short or damaged"
			}
			return content
		}
		switch {
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				content.fault = "a certificate in it does not parse"
				continue
			}
			content.certs = append(content.certs, cert)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			content.isKey = true
			if public := publicKeyOf(block.Bytes); public != nil {
				content.public = append(content.public, public)
			} else if content.fault == "" {
				content.fault = "the key is encrypted or of no known kind"
			}
			clear(block.Bytes)
		}
	}
}

// countBeginnings counts the lines that begin a PEM block. A block that cannot be decoded is passed over
// as if it were text.
func countBeginnings(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("-----BEGIN ")) {
			n++
		}
	}
	return n
}

// publicKeyOf returns the public half of a private key; nil if the key is encrypted or of
// another kind. The caller clears the bytes of the private key.
func publicKeyOf(der []byte) crypto.PublicKey {
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key.Public()
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key.Public()
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return key.Public()
	case *rsa.PrivateKey:
		return key.Public()
	case ed25519.PrivateKey:
		return key.Public()
	default:
		return nil
	}
}
