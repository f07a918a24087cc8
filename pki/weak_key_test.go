package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An imported key that everybody can guess is never certified again: the store makes a new one where it has the
// key, and says how to make one where the key is only on its node.
func TestWeakKeysAreNotCertifiedAgain(t *testing.T) {
	t.Parallel()
	guessed, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	ca := newHandMade(t, nil, nil, nil)
	folder := kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
		files["etcd/server.crt"], files["etcd/server.key"] = ca.leaf("m0", guessed, bothAuth...)
	})
	found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{"m0", folder}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Minute)
	for _, onNode := range []bool{false, true} {
		store := filepath.Join(t.TempDir(), "store")
		if _, err := found.AdoptInto(store, now, false); err != nil {
			t.Fatal(err)
		}
		certPath := filepath.Join(store, "nodes/m0/pki/etcd/server.crt")
		if onNode {
			if err := os.Remove(filepath.Join(store, "nodes/m0/pki/etcd/server.key")); err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.ReadFile(certPath)
		if err != nil {
			t.Fatal(err)
		}
		survey := renew(t, store, found.Cluster, now, Renewal{All: true})
		after := readChain(t, certPath)
		at := slices.IndexFunc(survey.Steps, func(s Step) bool { return s.Name == "m0/server" })
		if at < 0 {
			t.Fatalf("no step for the server in %v", survey.Steps)
		}
		step := survey.Steps[at]
		switch same := bytes.Equal(before, encodeCertificates(after...)); {
		case onNode && (!same || step.Action != ActionDue || step.Remedy == nil || !strings.Contains(step.Detail, "everybody can guess") || !strings.Contains(step.Detail, "etcdsec pki csr")):
			t.Errorf("on its node: signed again: %t, %+v", !same, step)
		case !onNode && (same || samePublicKey(after[0].PublicKey, guessed.Public())):
			t.Errorf("in the store: signed again: %t, %+v", !same, step)
		}
	}
}
