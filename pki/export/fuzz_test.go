package export

import (
	"bytes"
	"errors"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

// Whatever the password, what we encode decodes to the same key and chain, for whoever
// knows the password and for nobody else.
func FuzzPKCS12(f *testing.F) {
	var leaves []Leaf
	for _, more := range []string{"", "  pki: {keyAlgorithm: ed25519}\n", "  pki: {hierarchy: single, keyAlgorithm: ecdsa-p384}\n"} {
		leaves = append(leaves, read(f, open(f, bootstrap(f, twoMembers, more, testNow())), "clients/auditor"))
	}
	seeds := 0
	for _, password := range []string{"", "x", password, "é", "\x00", "~ !", "a\nb"} {
		for i := range leaves {
			f.Add(password, byte(i))
			seeds++
		}
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, password string, which byte) {
		l := leaves[int(which)%len(leaves)]
		if CheckPassword(password) != nil {
			if _, err := PKCS12(l, password); err == nil {
				t.Fatalf("%q was refused and taken", password)
			}
			return
		}
		// One iteration: a hundred thousand would be all that this does.
		data, err := encodePKCS12(l, password, 1)
		if err != nil {
			t.Fatal(err)
		}
		checkDecodes(t, l, data, password)
		again, err := encodePKCS12(l, password, 1)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("other bytes the second time, %v", err)
		}
		if _, _, _, err := pkcs12.DecodeChain(data, password+"x"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
			t.Fatalf("with another password: %v", err)
		}
	})
}
