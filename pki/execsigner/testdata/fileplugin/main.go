// Fileplugin is an example of a signer plugin for etcdsec. It keeps its keys in a folder,
// as KEY.pem in PKCS #8, readable by its owner only:
//
//	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEYS/client-root.pem
//	fileplugin KEYS
//
// A plugin for an HSM or a KMS has the same main and puts its own calls in place of load.
package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

type request struct {
	Version int    `json:"version"`
	Op      string `json:"op"`
	Key     string `json:"key"`
	Hash    string `json:"hash"`
	Digest  []byte `json:"digest"` // encoding/json has the protocol's base64 for bytes
	Padding string `json:"padding"`
	Message []byte `json:"message"`
}

type response struct {
	Version   int    `json:"version"`
	PublicKey []byte `json:"public_key,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	Error     string `json:"error,omitempty"`
}

func main() {
	answer, err := answer()
	if err != nil {
		answer = response{Error: err.Error()}
	}
	answer.Version = 1
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer() (response, error) {
	if len(os.Args) != 2 {
		return response{}, errors.New("usage: fileplugin KEYS")
	}
	var r request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return response{}, fmt.Errorf("reading the request: %w", err)
	}
	if r.Version != 1 {
		return response{}, fmt.Errorf("version %d of the protocol is not supported", r.Version)
	}
	key, err := load(os.Args[1], r.Key)
	if err != nil {
		return response{}, err
	}
	switch r.Op {
	case "public-key":
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		return response{PublicKey: der}, err
	case "sign":
		signature, err := sign(key, r)
		return response{Signature: signature}, err
	}
	return response{}, fmt.Errorf("the operation %q is not supported", r.Op)
}

func load(dir, name string) (crypto.Signer, error) {
	// The name comes from the operator's configuration, and stays below the folder.
	if name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("the key name %q is no file name", name)
	}
	path := filepath.Join(dir, name+".pem")
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s is no key in PKCS #8", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is no key in PKCS #8", path)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key in %s cannot sign", path)
	}
	return signer, nil
}

func sign(key crypto.Signer, r request) ([]byte, error) {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return key.Sign(nil, r.Message, crypto.Hash(0))
	}
	var hash crypto.Hash
	switch r.Hash {
	case "SHA-256":
		hash = crypto.SHA256
	case "SHA-384":
		hash = crypto.SHA384
	case "SHA-512":
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("the hash %q is not supported", r.Hash)
	}
	switch r.Padding {
	case "", "pkcs1v15":
		return key.Sign(rand.Reader, r.Digest, hash)
	case "pss":
		return key.Sign(rand.Reader, r.Digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
	}
	return nil, fmt.Errorf("the padding %q is not supported", r.Padding)
}
