package pki

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// publicWeb are the rules of zlint that do not hold here, each with the reason. All are the
// CA/Browser Forum's, for certificates that every browser trusts.
var publicWeb = map[string]string{
	"e_ca_country_name_missing":                                     "a CA of one cluster is of no country",
	"e_ca_organization_name_missing":                                "kube-apiserver takes an organization for a group",
	"e_invalid_ca_certificate_policies":                             "no public policy is claimed",
	"e_sub_ca_certificate_policies_missing":                         "no public policy is claimed",
	"e_sub_cert_certificate_policies_missing":                       "no public policy is claimed",
	"e_sub_cert_cert_policy_empty":                                  "no public policy is claimed",
	"e_missing_crl_distrib_point":                                   "etcd reads its list from a file and fetches none",
	"e_sub_ca_crl_distribution_points_missing":                      "etcd reads its list from a file and fetches none",
	"e_crl_next_update_invalid":                                     "etcd looks at no date of a list, which is signed anew when a third of its time is left",
	"e_sub_cert_aia_missing":                                        "there is no OCSP responder, and the issuer goes with the leaf",
	"w_sub_cert_aia_does_not_contain_issuing_ca_url":                "the issuer goes with the leaf",
	"w_sub_ca_aia_missing":                                          "the issuer goes with the leaf",
	"e_dnsname_not_valid_tld":                                       "members have private names",
	"e_ext_nc_intersects_reserved_ip":                               "members have private addresses",
	"e_ext_san_contains_reserved_ip":                                "members have private addresses",
	"e_subject_common_name_not_exactly_from_san":                    "the CN is the etcd user, not a host",
	"w_subject_common_name_included":                                "the CN is the etcd user",
	"w_ext_subject_key_identifier_not_recommended_subscriber":       "it tells the ledger's lines apart",
	"e_signature_algorithm_not_supported":                           "Ed25519 is asked for by the spec",
	"e_algorithm_identifier_improper_encoding":                      "Ed25519 is asked for by the spec",
	"w_root_ca_basic_constraints_path_len_constraint_field_present": "a root that signs no CAs says so",
}

// lintStore lints every certificate and list of a store, and says which of the rules for
// the public web were met.
func lintStore(t testing.TB, dir string) map[string]bool {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "zlint", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	met, linted := map[string]bool{}, 0
	for line := range strings.Lines(string(out)) {
		if n, err := fmt.Sscanf(line, "linted %d", &linted); err == nil && n == 1 {
			continue
		}
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 3 || publicWeb[fields[1]] == "" {
			t.Errorf("zlint: %s", line)
			continue
		}
		met[fields[1]] = true
	}
	if linted < 5 {
		t.Errorf("%d certificates in %s", linted, dir)
	}
	return met
}

// A rule that is left out and never met is left out for nothing.
func TestZlintLeavesOutOnlyWhatItMust(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, algorithm := range []string{"ecdsa-p256", "rsa-3072", "ed25519"} {
		dir := filepath.Join(t.TempDir(), "store")
		c := specOf(t, 2, "    enableGRPCGateway: true\n  clients: [{name: backup, role: backup}]\n  pki: {crl: true, keyAlgorithm: "+algorithm+"}\n")
		issue(t, dir, c, testNow())
		maps.Copy(met, lintStore(t, dir))
	}
	for rule := range publicWeb {
		if !met[rule] {
			t.Errorf("%s is left out, and nothing breaks it", rule)
		}
	}
}
