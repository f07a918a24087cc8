package execsigner

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
)

// maxMessage limits the message for an Ed25519 plugin. It is enough for a CRL of 20,000 entries.
const maxMessage = 1 << 20

// signRequest returns the request for a call of crypto.Signer.
func signRequest(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (request, error) {
	if opts == nil {
		return request{}, errors.New("no hash was given")
	}
	r := request{Version: version, Op: opSign}
	if _, ok := public.(ed25519.PublicKey); ok {
		if o, ok := opts.(*ed25519.Options); opts.HashFunc() != 0 || ok && o.Context != "" {
			return request{}, errors.New("only plain Ed25519 is signed, which hashes the message itself and has no context")
		}
		if len(digest) > maxMessage {
			return request{}, fmt.Errorf("a message of %d bytes; at most %d", len(digest), maxMessage)
		}
		r.Message = append([]byte{}, digest...) // never nil
		return r, nil
	}
	hash := opts.HashFunc()
	if hash != crypto.SHA256 && hash != crypto.SHA384 && hash != crypto.SHA512 {
		return request{}, fmt.Errorf("the hash %s; want SHA-256, SHA-384 or SHA-512", hash)
	}
	if len(digest) != hash.Size() {
		return request{}, fmt.Errorf("a digest of %d bytes; one of %s has %d", len(digest), hash, hash.Size())
	}
	r.Hash, r.Digest = hash.String(), digest
	if _, ok := public.(*rsa.PublicKey); ok {
		r.Padding = paddingPKCS1
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != hash.Size() {
				return request{}, errors.New("PSS with a salt of another length than the hash")
			}
			r.Padding = paddingPSS
		}
	}
	return r, nil
}

// verify reports whether a signature is valid for a request.
func verify(public crypto.PublicKey, r request, signature []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, r.Digest, signature)
	case *rsa.PublicKey:
		hash := hashOf(r.Hash)
		if r.Padding == paddingPSS {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
			return rsa.VerifyPSS(key, hash, r.Digest, signature, options) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, r.Digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, r.Message, signature)
	}
	return false
}

func hashOf(name string) crypto.Hash {
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if hash.String() == name {
			return hash
		}
	}
	return 0
}
