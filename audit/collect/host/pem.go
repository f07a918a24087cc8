package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path"
	"slices"
	"strings"
)

// readPEMs says of the files of a program which hold a certificate and which a key, and
// whether it is a CA's: of a certificate in the same folder.
func (c *collector) readPEMs(o *one) {
	files := o.settings.Files
	authorities := map[string][]crypto.PublicKey{} // by folder
	keys := map[int]crypto.PublicKey{}
	for i := range files {
		f := &files[i]
		if !isPEM(f.Role) || f.Reason != "" {
			continue
		}
		content, err := c.readPEM(f.Path, o.view)
		if err != nil {
			f.Unread = reason(err)
			continue
		}
		f.Certificate, f.PrivateKey = content.cert != nil, content.isKey
		if content.isKey && content.public == nil {
			f.Unread = "the key is encrypted or of no known kind"
		}
		if content.cert != nil && content.cert.IsCA {
			f.IsCA = true
			dir := path.Dir(f.Path)
			authorities[dir] = append(authorities[dir], content.cert.PublicKey)
		}
		if content.public != nil {
			keys[i] = content.public
		}
	}
	for i, public := range keys {
		if slices.ContainsFunc(authorities[path.Dir(files[i].Path)], func(authority crypto.PublicKey) bool { return sameKey(authority, public) }) {
			files[i].IsCA = true
		}
	}
}

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// pemContent is what a PEM file holds. Of a key it is the public half.
type pemContent struct {
	cert   *x509.Certificate // the first
	isKey  bool
	public crypto.PublicKey
}

func (c *collector) readPEM(name string, v *view) (pemContent, error) {
	// The path is the host's already, or below /proc/PID/root.
	t := c.host
	if inside, found := strings.CutPrefix(name, v.at); v.own != nil && found {
		t, name = v.own, inside
	}
	data, err := t.readFile(name, maxFile)
	if err != nil {
		return pemContent{}, err
	}
	defer clear(data)
	return parsePEM(data)
}

// parsePEM looks at the blocks of a file until it has seen a certificate and a key.
func parsePEM(data []byte) (pemContent, error) {
	var content pemContent
	for rest := data; content.cert == nil || !content.isKey; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE" && content.cert == nil:
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return content, errors.New("a certificate in it does not parse")
			}
			content.cert = cert
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			content.isKey = true
			content.public = publicKeyOf(block.Bytes)
			clear(block.Bytes)
		}
	}
	return content, nil
}

// publicKeyOf is nil for a key that is encrypted or of another kind. The private key is
// dropped; its bytes are the caller's to clear.
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
