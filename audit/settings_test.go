package audit_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// The file of a setting is the one that the collector says, wherever it lies on the host; else
// the one of that path.
func TestSettingsFile(t *testing.T) {
	s := &audit.Settings{
		Values: map[string]audit.Setting{
			"trusted-ca-file": {Value: "/pki/ca.crt"}, "peer-trusted-ca-file": {Value: "/pki/../pki/peer-ca.crt"},
			"cert-file": {Value: "server.crt"}, "key-file": {Value: "/pki/server.key"},
		},
		Files: []audit.File{
			{Path: "/pki/ca.crt"}, {Path: "/host/pki/ca.crt", Flags: []string{"client-ca-file", "trusted-ca-file"}},
			{Path: "/pki/peer-ca.crt"}, {Path: "server.crt"},
		},
	}
	for flag, want := range map[string]string{
		"trusted-ca-file": "/host/pki/ca.crt", "peer-trusted-ca-file": "/pki/peer-ca.crt", "cert-file": "", "key-file": "", "not-set": "",
	} {
		if got, found := s.File(flag); got.Path != want || found != (want != "") {
			t.Errorf("%s: got %q, want %q", flag, got.Path, want)
		}
	}
}

// A fault of all settings is one of those that nobody was seen to make, and of no file.
func TestSettingsFault(t *testing.T) {
	t.Parallel()
	s := &audit.Settings{
		Values: map[string]audit.Setting{
			"name":     {Value: "a", Source: "flag"},
			"data-dir": {Value: "$(DIR)", Source: "flag"},
			"auto-tls": {Overridden: []audit.Override{{Source: "flag", Value: "true", Flag: true, Text: "flag --auto-tls=true: a config file replaces all flags"}}},
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
