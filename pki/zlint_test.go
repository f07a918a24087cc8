package pki

import (
	"path/filepath"
	"testing"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/etcdsec/etcdsec/cluster"
)

// Every certificate that we issue obeys the rules that zlint has from RFCs. Those of the
// CA/Browser Forum are for the public web: they forbid private addresses and want OCSP.
func TestZlint(t *testing.T) {
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []cluster.KeyAlgorithm{cluster.ECDSAP256, cluster.Ed25519} {
		c := specOf(t, 2, "    enableGRPCGateway: true\n  clients: [{name: backup, role: backup}]\n  pki: {keyAlgorithm: "+string(algorithm)+"}\n")
		dir := filepath.Join(t.TempDir(), "store")
		issue(t, dir, c, testNow())
		plan := NewPlan(c)
		var paths []string
		for _, a := range plan.Authorities {
			paths = append(paths, a.Path()+"/ca.crt")
		}
		for _, b := range plan.Bundles {
			for _, l := range b.Leaves {
				paths = append(paths, b.Path+"/"+l.CertFile)
			}
		}
		for _, path := range paths {
			lintCertificate(t, rules, path, readChain(t, filepath.Join(dir, path))[0].Raw)
		}
	}
}

func lintCertificate(t *testing.T, rules lint.Registry, path string, certDER []byte) {
	t.Helper()
	cert, err := zx509.ParseCertificate(certDER)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for name, result := range zlint.LintCertificateEx(cert, rules).Results {
		if result.Status >= lint.Pass {
			ran++
		}
		if result.Status > lint.Notice {
			t.Errorf("%s: %s: %s %s", path, name, result.Status, result.Details)
		}
	}
	if ran < 40 {
		t.Errorf("%s: only %d rules applied", path, ran)
	}
}
