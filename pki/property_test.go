package pki

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// randomSpec is a spec that loads: one to nine members with addresses of every kind, up to
// twenty clients, any hierarchy, layout and key algorithm that is quick to make.
func randomSpec(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var b strings.Builder
	b.WriteString("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: random}\nspec:\n  etcd:\n")
	fmt.Fprintf(&b, "    version: %q\n    runtime: %s\n    enableGRPCGateway: %s\n    members:\n", pick("3.5.35", "3.6.16", "3.7.3"), pick("static-pod", "systemd"), pick("true", "false"))
	for i := range 1 + r.IntN(9) {
		var addresses []string
		for n, a := range []string{fmt.Sprintf("10.%d.0.%d", r.IntN(256), i+1), fmt.Sprintf("%q", fmt.Sprintf("fd00:%x::%x", r.IntN(65536), i+1)), fmt.Sprintf("etcd-%d.%s.example", i, pick("a", "b-c"))} {
			if r.IntN(2) == 0 || n == 2 && addresses == nil {
				addresses = append(addresses, a)
			}
		}
		r.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		fmt.Fprintf(&b, "      - {name: m%d, addresses: [%s]}\n", i, strings.Join(addresses, ", "))
	}
	if n := r.IntN(21); n > 0 {
		b.WriteString("  clients:\n")
		for i := range n {
			fmt.Fprintf(&b, "    - {name: client-%d, role: %s}\n", i, cluster.Roles()[r.IntN(len(cluster.Roles()))])
		}
	}
	layout, algorithm := pick("etcdsec", "etcdsec", "kubeadm", "k3s", "kops"), pick("ecdsa-p256", "ecdsa-p384", "ed25519")
	if layout == "kubeadm" && algorithm == "ed25519" {
		algorithm = "ecdsa-p256" // kubeadm loads no other key
	}
	fmt.Fprintf(&b, "  pki: {hierarchy: %s, layout: %s, keyAlgorithm: %s, crl: %s}\n",
		pick("issuing", "single", "shared"), layout, algorithm, pick("true", "false"))
	return b.String()
}

// Whatever the spec: what is issued and what is renewed verifies, at every age, zlint
// finds no fault with it, and openssl takes it in its roles and in no other. `make test-e2e` tries more.
func TestAnySpec(t *testing.T) {
	t.Parallel()
	testAnySpec(t, 5)
}

func testAnySpec(t *testing.T, specs int) {
	t.Helper()
	for range specs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			c := reload(t, randomSpec(r))
			dir := filepath.Join(t.TempDir(), "store")
			backend := []Backend{BackendCfssl, BackendStd}[r.IntN(2)]
			sound := func(when string, afterDays int) {
				t.Helper()
				for _, f := range verify(t, dir, c, testNow().Add(time.Duration(afterDays)*day)) {
					if !strings.Contains(f.Problem, "is a root's key in plain text") {
						t.Errorf("%s: %s: %s\n%s", when, f.Path, f.Problem, c.YAML)
					}
				}
			}
			sign := func(afterDays int, renewal Renewal) *Survey {
				t.Helper()
				store, err := OpenStore(dir, c)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				now := testNow().Add(time.Duration(afterDays) * day)
				work, err := store.Survey(t.Context(), NewPlan(c), now, renewal)
				if err != nil {
					t.Fatalf("%v\n%s", err, c.YAML)
				}
				if err := store.Issue(t.Context(), work, c.YAML, IssueConfig{Now: now, Backend: backend}); err != nil {
					t.Fatalf("%v\n%s", err, c.YAML)
				}
				return work
			}
			sign(0, Renewal{})
			sound("issued", 0)
			lintStore(t, dir)
			checkOpenSSL(t, dir, c, testNow())
			sign(70, Renewal{Due: true, NewKey: r.IntN(2) == 0})
			sound("renewed", 70)
			if work := sign(70, Renewal{Due: true}); !work.Nothing() || work.Due() {
				t.Errorf("renewed twice: %+v", work.Steps)
			}
			sign(500, Renewal{All: true, Authorities: true})
			sound("recovered", 500)
			lintStore(t, dir)
		})
	}
}
