package main

import (
	"testing"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// A hint pastes whatever the paths hold.
func TestHintsPaste(t *testing.T) {
	for path, want := range map[string]string{
		"./store": "./store", "my store": "'my store'", "-": "-", "-rf": "./-rf", "a;b": "'a;b'", "it's": `'it'\''s'`,
	} {
		if got := shellword.Path(path); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
	if got, want := renewalHint("my store/clients/auditor/client.crt"), "etcdsec pki renew 'my store' auditor"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := renewalHint("client.crt"), "--cert client.crt --key client.key   # of a certificate that has not expired"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
