package snapshot

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit/census"
)

// Ciphertext that lies under two keys is found, whatever encrypted it; and values that have
// only the key in common that encrypted them, as with KMS, are not taken for it.
func TestCopies(t *testing.T) {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return b
	}
	dek := random(100)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, write := range map[string]func() []byte{
		"secretbox": func() []byte { return join([]byte("k8s:enc:secretbox:v1:k:"), random(24+16+200)) },
		"aescbc":    func() []byte { return join([]byte("k8s:enc:aescbc:v1:k:"), random(16+16*10)) },
		"aesgcm":    func() []byte { return join([]byte("k8s:enc:aesgcm:v1:k:"), random(12+16+20)) },
		"kms v1":    func() []byte { return join([]byte("k8s:enc:kms:v1:p:"), []byte{0, 100}, dek, random(16+16*2)) },
		"kms v2": func() []byte {
			b := []byte("k8s:enc:kms:v2:p:")
			for i, field := range [][]byte{random(12 + 16 + 20), []byte("key-id"), dek} {
				b = protowire.AppendTag(b, protowire.Number(i+1), protowire.BytesType)
				b = protowire.AppendBytes(b, field)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			tally := census.NewTally(census.DefaultLayout())
			add := func(key string, value []byte) {
				seal := census.Classifier{}.Classify(value)
				if seal.Form != census.Encrypted {
					t.Fatalf("%s is no encrypted value: %d", name, seal.Form)
				}
				tally.AddSeal([]byte(key), comparedPart(seal))
			}
			first := write()
			add("/registry/secrets/a/first", first)
			for i := range 100 {
				add(secret(i), write())
			}
			if got := tally.Census().Copies; got.Objects != 0 {
				t.Errorf("%d copies where there are none: %q", got.Objects, got.Named)
			}
			add("/registry/secrets/b/copy", first)
			if got := tally.Census().Copies; got.Objects != 1 || got.Named[0] != "secrets b/copy" {
				t.Errorf("%d copies where there is one: %q", got.Objects, got.Named)
			}
		})
	}
}
