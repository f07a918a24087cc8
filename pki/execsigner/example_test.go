package execsigner_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/pki/execsigner"
)

// A CRL signed by a root whose key only the plugin has; testdata/fileplugin is its source.
func Example() {
	var root *x509.Certificate // as out of ca.crt

	signer, err := execsigner.New(context.Background(), execsigner.Config{
		Argv:    []string{"/usr/local/bin/fileplugin", "/var/lib/keys"},
		Key:     "client-root",
		Public:  root.PublicKey, // another key under that name is an error
		Timeout: 5 * time.Minute,
		// Its main hands the arguments behind the last of these to leash.Supervise.
		Supervisor: []string{"/proc/self/exe", leash.Argument},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(24 * time.Hour)}
	crl, err := x509.CreateRevocationList(rand.Reader, list, root, signer)
	fmt.Println(len(crl), err)
}
