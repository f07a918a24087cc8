package rotation_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// kmsConf is a configuration for Secrets with KMS plugins, "v1 old" and "v2 new", and a key,
// "secretbox a", in their order.
func kmsConf(providers ...[2]string) []byte {
	b := []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n")
	for _, p := range providers {
		switch p[0] {
		case "v1", "v2":
			b = fmt.Appendf(b, "  - kms: {apiVersion: %s, name: %s, endpoint: unix:///run/%[2]s.sock}\n", p[0], p[1])
		case "": // which means v1
			b = fmt.Appendf(b, "  - kms: {name: %s, endpoint: unix:///run/%[1]s.sock}\n", p[1])
		default:
			b = append(b, bytes.SplitAfter(conf(p[0]+":"+p[1]), []byte("providers:\n"))[1]...)
		}
	}
	return b
}

// A plan of a release that named no version of KMS goes on: what its plugins encrypted is found.
func TestPlanWithoutKMSVersions(t *testing.T) {
	t.Parallel()
	writer := func(p [2]string) audit.Writer {
		switch p[0] {
		case "v2":
			return audit.Writer{Provider: audit.KMSv2Provider, Key: p[1]}
		case "v1", "":
			return audit.Writer{Provider: audit.KMSv1Provider, Key: p[1]}
		}
		return audit.Writer{Provider: audit.Provider(p[0]), Key: p[1]}
	}
	for name, c := range map[string]struct {
		from [][2]string
		to   [2]string
	}{
		"from v2":                {[][2]string{{"v2", "cloud"}}, [2]string{"secretbox", "b"}},
		"from v1":                {[][2]string{{"v1", "cloud"}}, [2]string{"secretbox", "b"}},
		"from v1 by default":     {[][2]string{{"", "cloud"}}, [2]string{"secretbox", "b"}},
		"to v2":                  {[][2]string{{"secretbox", "b"}}, [2]string{"v2", "cloud"}},
		"from v1 to v2":          {[][2]string{{"v1", "old"}}, [2]string{"v2", "new"}},
		"from both to a key":     {[][2]string{{"v2", "new"}, {"v1", "old"}}, [2]string{"aescbc", "b"}},
		"a key of a plugin name": {[][2]string{{"v2", "b"}, {"aescbc", "b"}}, [2]string{"secretbox", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			plan := rotation.Plan{
				Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: writer(c.to),
				Files: map[rotation.Stage][]byte{
					rotation.Before: kmsConf(c.from...), rotation.Added: kmsConf(append(slices.Clone(c.from), c.to)...),
					rotation.Promoted: kmsConf(append([][2]string{c.to}, c.from...)...), rotation.Dropped: kmsConf(c.to),
				},
			}
			for _, p := range c.from {
				plan.From = append(plan.From, writer(p))
			}
			if err := os.WriteFile(filepath.Join(dir, rotation.ConfigName), plan.Files[rotation.Before], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := rotation.Begin(dir, plan); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "encryption-rotation", "plan.json")
			written, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			old := bytes.ReplaceAll(bytes.ReplaceAll(written, []byte(`"kms v1"`), []byte(`"kms"`)), []byte(`"kms v2"`), []byte(`"kms"`))
			if bytes.Equal(old, written) {
				t.Fatal("the plan names no KMS")
			}
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			state, err := (&rotation.Rotation{Dir: dir, Now: time.Now}).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if state.Plan.To != plan.To || !slices.Equal(state.Plan.From, plan.From) {
				t.Errorf("from %q to %q, want from %q to %q", state.Plan.From, state.Plan.To, plan.From, plan.To)
			}
			if !state.Plan.Covers("secrets") {
				t.Error("it covers no Secrets")
			}
			stored := audit.ResourceCensus{Resource: "secrets"}
			var want []rotation.Count
			for i, w := range append(slices.Clone(plan.From), plan.To) {
				want = append(want, rotation.Count{Resource: "secrets", Writer: w, Objects: int64(i + 1)})
				if w.Provider == audit.KMSv2Provider {
					w.KeyID = "7"
				}
				stored.Objects += int64(i + 1)
				stored.Writers = append(stored.Writers, audit.WriterCount{Writer: w, Objects: int64(i + 1)})
			}
			if got := state.Plan.Counts(audit.Census{Resources: []audit.ResourceCensus{stored}}); !slices.Equal(got, want) {
				t.Errorf("counts %v, want %v", got, want)
			}
		})
	}
}
