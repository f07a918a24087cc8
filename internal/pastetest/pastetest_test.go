package pastetest_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/internal/pastetest"
)

func TestFault(t *testing.T) {
	for line, pastes := range map[string]bool{
		"etcdctl member remove MEMBER_ID":                         false,
		"etcdctl member remove 8e9e05c52164694d":                  true,
		"etcdsec pki renew DIR":                                   false,
		"etcdsec pki import ./store MEMBER=FOLDER":                false,
		"--listen-peer-urls=https://ADDRESS:2380":                 false,
		"etcdctl get <key>":                                       false,
		"openssl s_client -connect a:1 </dev/null 2>/dev/null":    true,
		"openssl x509 -CA ca.crt -CAkey ca.key -outform DER":      true,
		"--tls-min-version=TLS1.3":                                true,
		"--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": true,
		"etcdctl get a ...":                                       false,
		"etcdctl get a …":                                         false,
		"etcdctl get 'a":                                          false,
		"etcdctl get $(a":                                         false,
		"etcdctl get a; reboot":                                   true,
	} {
		if fault := pastetest.Fault(t, line); (fault == "") != pastes {
			t.Errorf("%s: %q", line, fault)
		}
	}
}
