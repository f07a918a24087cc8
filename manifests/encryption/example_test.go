package encryption_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// A configuration is made from a spec and a key. A second key is added behind it, where every API
// server can read with it, before it is promoted to encrypt.
func Example() {
	spec := &cluster.Cluster{}
	spec.Encryption.Provider, spec.Encryption.Phase, spec.Encryption.Resources = "secretbox", string(cluster.Encrypted), []string{"secrets"}
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	key := func(filler byte) encryption.Key {
		k, err := encryption.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{filler}, 32)), day) // real keys come from crypto/rand
		if err != nil {
			panic(err)
		}
		return k
	}
	c := encryption.Generate(spec, key(1))
	added, err := c.AddSecond(encryption.Provider{Type: encryption.Secretbox, Keys: []encryption.Key{key(2)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	second := added.Rules[0].Providers[0].Writers()[1]
	promoted, err := added.Promote(second)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range []*encryption.Configuration{c, added, promoted} {
		fmt.Println("encrypts with", encryption.Describe(step.Writers()[0]))
	}
	fmt.Println("values begin with", second.Prefix())
	// Output:
	// encrypts with secretbox key k-20261120-72cd6e84
	// encrypts with secretbox key k-20261120-72cd6e84
	// encrypts with secretbox key k-20261120-75877bb4
	// values begin with k8s:enc:secretbox:v1:k-20261120-75877bb4:
}
