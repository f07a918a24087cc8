package audit_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// A fault of all settings is one of those that nobody was seen to make, and of no file.
func TestSettingsFault(t *testing.T) {
	t.Parallel()
	s := &audit.Settings{
		Values: map[string]audit.Setting{
			"name":     {Value: "a", Source: "flag"},
			"data-dir": {Value: "$(DIR)", Source: "flag"},
			"auto-tls": {Overridden: "flag --auto-tls=true: a config file replaces all flags"},
		},
		Faults: []audit.Fault{
			{Subject: "data-dir", Reason: "a template"},
			{Reason: "no environment"},
			{Subject: "/etc/etcd.yaml", Reason: "not there"},
		},
	}
	for subject, want := range map[string]string{
		"name": "", "data-dir": "a template", "auto-tls": "no environment", "client-cert-auth": "no environment",
		"": "no environment", "/etc/etcd.yaml": "not there", "/etc/other.yaml": "",
	} {
		if got := s.Fault(subject); got != want {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}
