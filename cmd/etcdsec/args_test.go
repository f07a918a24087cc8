package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for use, want := range map[string][]string{
		"init":                        nil,
		"renew DIR [NAME...]":         {"DIR"},
		"sign DIR NAME FOLDER|FILE":   {"DIR", "NAME", "FOLDER|FILE"},
		"apply [-f cluster.yaml] DIR": {"DIR"},
		"pkcs12 DIR NAME OUT.p12 --password-file FILE":   {"DIR", "NAME", "OUT.p12"},
		"authority -f cluster.yaml DIR NAME=FILE...":     {"DIR", "NAME=FILE"},
		"census (--endpoints URL,... | --snapshot FILE)": nil,
		"prove -f cluster.yaml [[NODE=]FILE...]":         nil,
	} {
		if diff := cmp.Diff(want, placeholders(use)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", use, diff)
		}
	}
}

// What is missing, or too much, is named as the usage line has it.
func TestArgumentErrors(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"pki renew":                       "error: DIR is missing: etcdsec pki renew DIR [NAME...]",
		"pki sign store":                  "error: NAME and FOLDER|FILE is missing",
		"pki verify store other":          `error: "other" is one argument too many`,
		"audit diff old.json":             "error: NEW is missing",
		"encryption rotate status":        "error: DIR is missing",
		"init more":                       `error: unknown command "more"`,
		"pki import store":                "error: MEMBER=FOLDER is missing",
		"audit explain cert-expiry other": `error: "other" is one argument too many`,
	} {
		status, _, stderr := etcdsec(t, strings.Fields(line)...)
		if status != statusUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d\n%swant %s", line, status, stderr, want)
		}
	}
}
