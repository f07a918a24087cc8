package pki

import (
	"bytes"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

// No bit of a key that this package wrote can change unseen, but in the white space at its end.
func TestEveryBitOfAKeyCounts(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []cluster.KeyAlgorithm{cluster.ECDSAP256, cluster.ECDSAP384, cluster.Ed25519} {
		key, err := generateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		keyPEM, err := encodeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(keyPEM) - 1 {
			for bit := range 8 {
				damaged := bytes.Clone(keyPEM)
				damaged[i] ^= 1 << bit
				if got, err := ParseKey(damaged); err == nil && samePublicKey(got.Public(), key.Public()) {
					t.Errorf("%s: bit %d of byte %d makes no difference", algorithm, bit, i)
				}
			}
		}
	}
}
