// Package importrules has one test, which checks that packages import only what their layer allows. A
// dependency that breaks the layering is easy to add and hard to remove.
package importrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/etcdsec/etcdsec"

// A rule says which of our packages the packages of some places may import. A place is a path in the
// module; "x/..." means x and everything below it. The first rule that names a package applies.
type rule struct {
	places []string
	may    []string
}

// subjects are the packages with the checks.
var subjects = []string{
	"audit/listeners", "audit/transport", "audit/certificates", "audit/access",
	"audit/members", "audit/config", "audit/files", "audit/data",
}

var ours = []rule{
	{[]string{"cmd/etcdsec-demo/..."}, []string{"..."}},
	{[]string{"cmd/etcdsec/tests/..."}, []string{"..."}},
	// etcdtest builds servers with the Go tool, which a product does not.
	{[]string{"cmd/..."}, []string{"cmd/...", "cluster", "pki/...", "audit/...", "manifests/...", "policies/...", "internal/clientcert", "internal/durable", "internal/firstgc", "internal/input", "internal/kubeapi", "internal/leash", "internal/stop"}},

	{[]string{"audit", "internal/strictyaml", "internal/failpoint", "internal/firstgc", "internal/goodkey", "internal/oracle", "internal/importrules", "internal/prose", "internal/netns", "internal/etcdrpc", "internal/agekey", "internal/layout", "internal/legible", "internal/pastetest", "internal/placeholder", "internal/posixacl", "internal/ptytest", "internal/shellword", "pki/throwaway"}, nil},
	{[]string{"cluster"}, []string{"internal/input", "internal/placeholder", "internal/strictyaml"}},
	{[]string{"internal/durable"}, []string{"internal/failpoint", "internal/input", "internal/posixacl"}},
	{[]string{"internal/input"}, []string{"internal/stop"}},
	{[]string{"internal/clientcert"}, []string{"internal/durable", "internal/input"}},
	{[]string{"internal/kubeapi"}, []string{"internal/durable", "internal/input", "internal/leash"}},
	{[]string{"internal/journal"}, []string{"internal/durable"}},
	{[]string{"internal/etcddb"}, []string{"internal/input"}},
	{[]string{"internal/barrier", "internal/leash", "internal/stop"}, nil},
	// What an operator's program starts may not outlive it.
	{[]string{"internal/delivery"}, []string{"internal/leash", "internal/placeholder"}},
	{[]string{"internal/kubetest"}, []string{"internal/etcdtest", "internal/kubeapi", "internal/oracle", "pki/throwaway"}},
	{[]string{"internal/etcdtest", "internal/oracle/prebuild"}, []string{"internal/oracle"}},

	{[]string{"audit/catalog"}, slices.Concat([]string{"audit"}, subjects)},
	{[]string{"audit/report"}, []string{"audit", "internal/durable"}},
	// The one reader of an EncryptionConfiguration judges its keys where they are read.
	{[]string{"audit/collect/host"}, []string{"audit", "manifests/encryption", "manifests/encryption/lint", "internal/posixacl", "internal/strictyaml"}},
	{[]string{"audit/collect/kube"}, []string{"audit", "audit/collect", "audit/collect/host", "internal/kubeapi"}},
	{[]string{"audit/census/snapshot"}, []string{"audit", "audit/census", "internal/etcddb"}},
	{[]string{"audit/waivers"}, []string{"audit", "internal/strictyaml"}},
	{[]string{"audit/collect"}, []string{"audit", "audit/census/snapshot", "audit/collect/host", "pki/throwaway", "cluster", "internal/etcddb", "internal/clientcert", "internal/etcdrpc", "internal/input"}},
	{[]string{"audit/census"}, []string{"audit", "audit/collect/host", "pki/throwaway", "cluster", "internal/etcddb", "internal/etcdrpc", "internal/input"}},
	{subjects, []string{"audit", "pki", "cluster"}},

	// A plugin may not outlive whoever asked it for a signature.
	{[]string{"pki/execsigner"}, []string{"internal/goodkey", "internal/leash"}},
	{[]string{"pki/..."}, []string{"pki/...", "cluster", "internal/agekey", "internal/durable", "internal/goodkey", "internal/input"}},
	{[]string{"manifests/encryption/rotation"}, []string{"audit", "cluster", "manifests/encryption", "internal/barrier", "internal/delivery", "internal/durable", "internal/journal", "internal/kubeapi"}},
	{[]string{"manifests/encryption"}, []string{"audit", "cluster", "internal/durable", "internal/input", "internal/strictyaml"}},
	{[]string{"manifests/encryption/lint"}, []string{"audit", "cluster", "internal/durable", "internal/input", "manifests/encryption"}},
	{[]string{"manifests/..."}, []string{"manifests/...", "cluster", "internal/durable"}},
	{[]string{"policies/kube"}, []string{"internal/strictyaml"}},
	{[]string{"policies/nft"}, nil},
	{[]string{"policies/rbac"}, []string{"cluster", "pki", "internal/clientcert", "internal/failpoint", "internal/input"}},
	{[]string{"policies/guard"}, []string{"cluster", "policies", "policies/nft", "internal/durable"}},
	// What they find has the severities of the audit.
	{[]string{"policies/reach"}, []string{"audit", "cluster", "policies", "policies/kube", "policies/nft"}},
	{[]string{"policies/lint"}, []string{"audit", "cluster", "policies", "policies/kube", "policies/nft", "policies/reach"}},
	{[]string{"policies/..."}, []string{"policies/...", "cluster", "internal/durable", "internal/input"}},
}

// foreign names the places that may import a foreign module.
var foreign = []struct {
	prefix string
	places []string
}{
	{"github.com/spf13/cobra", []string{"cmd/..."}},
	{"github.com/spf13/pflag", []string{"cmd/..."}},
	{"github.com/cloudflare/cfssl", []string{"pki/internal/cfsslca"}},
	{"filippo.io/age", []string{"internal/agekey"}},
	// cfssl links it too, so that it costs next to nothing; test/zlint is a module of its own.
	{"github.com/zmap", []string{"audit/certificates"}},
	// Its clientset registers every API group, which is 26 MB.
	{"k8s.io/client-go/kubernetes", nil},
	{"k8s.io/client-go", []string{"internal/kubeapi"}},
	{"software.sslmate.com/src/go-pkcs12", []string{"pki/export"}},
	{"mvdan.cc/sh", []string{"audit/collect/host"}},
	{"github.com/owenrumney/go-sarif", []string{"audit/report"}},
	{"go.etcd.io/etcd", []string{"audit/collect", "audit/census", "policies/rbac", "pki/rotation", "cmd/etcdsec-demo"}},
}

// standardLibraryOnly has the places that import no foreign module.
var standardLibraryOnly = []string{"audit", "internal/layout", "internal/legible", "internal/shellword"}

// forAll has the packages that every package may import. They need only the standard library and only
// write text. Every layer shows command lines, and must quote them in the same way.
var forAll = []string{"internal/layout", "internal/legible", "internal/shellword"}

// violations returns the imports of a package that break the rules. path is its path in the module.
func violations(path string, imports []string) []string {
	var found []string
	at := slices.IndexFunc(ours, func(r rule) bool { return withinAny(path, r.places) })
	if at < 0 {
		return []string{fmt.Sprintf("%s: no rule says what it may import; add one here", path)}
	}
	for _, imported := range imports {
		if own, ok := strings.CutPrefix(imported, module+"/"); ok {
			if !withinAny(own, ours[at].may) && !withinAny(own, forAll) {
				found = append(found, fmt.Sprintf("%s imports %s", path, own))
			}
			continue
		}
		if !standardLibrary(imported) && withinAny(path, standardLibraryOnly) {
			found = append(found, fmt.Sprintf("%s imports %s, which is not of the standard library", path, imported))
		}
		for _, f := range foreign {
			if within(imported, f.prefix+"/...") && !withinAny(path, f.places) {
				found = append(found, fmt.Sprintf("%s imports %s, which only these may: %q", path, imported, f.places))
			}
		}
	}
	return found
}

func within(path, place string) bool {
	if place == "..." {
		return true
	}
	if base, ok := strings.CutSuffix(place, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == place
}

func withinAny(path string, places []string) bool {
	return slices.ContainsFunc(places, func(place string) bool { return within(path, place) })
}

// standardLibrary reports whether a path is in the standard library: the first element of all other
// paths has a dot.
func standardLibrary(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// Test files may import more (etcdtest, the etcd client, each other's packages), so only
// the imports of the product's own files are read.
func TestImportsOfEveryPackage(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages, imports := 0, 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading what go list printed: %v", err)
		}
		path, ok := strings.CutPrefix(p.ImportPath, module+"/")
		if !ok {
			t.Fatalf("go list named %s, which is not below %s", p.ImportPath, module)
		}
		for _, v := range violations(path, p.Imports) {
			t.Error(v)
		}
		imports += len(p.Imports)
	}
	if packages == 0 || imports == 0 {
		t.Fatalf("go list found %d packages with %d imports; nothing was checked", packages, imports)
	}
}

func TestViolations(t *testing.T) {
	const (
		cobra  = "github.com/spf13/cobra"
		cfssl  = "github.com/cloudflare/cfssl/signer/local"
		age    = "filippo.io/age/agessh"
		client = "go.etcd.io/etcd/client/v3"
	)
	own := func(path string) string { return module + "/" + path }
	tests := []struct {
		name     string
		path     string
		imported string
		refused  bool
	}{
		{"the command imports any of ours", "cmd/etcdsec", own("audit/catalog"), false},
		{"the command uses cobra", "cmd/etcdsec", cobra, false},
		{"the command starts no servers", "cmd/etcdsec", own("internal/etcdtest"), true},
		{"the command dials no etcd itself", "cmd/etcdsec", client, true},
		{"the demo starts servers", "cmd/etcdsec-demo", own("internal/etcdtest"), false},
		{"the demo writes and reads", "cmd/etcdsec-demo", client, false},
		{"prebuild builds programs", "internal/oracle/prebuild", own("internal/oracle"), false},
		{"etcdtest stands alone", "internal/etcdtest", own("pki"), true},

		{"the spec imports nothing of ours but the YAML", "cluster", own("internal/durable"), true},
		{"the spec reads YAML strictly", "cluster", own("internal/strictyaml"), false},
		{"waivers are read as strictly", "audit/waivers", own("internal/strictyaml"), false},
		{"waivers know no checks", "audit/waivers", own("audit/catalog"), true},
		{"the audit reads no YAML", "audit", own("internal/strictyaml"), true},
		{"durable can be killed", "internal/durable", own("internal/failpoint"), false},
		{"durable knows no spec", "internal/durable", own("cluster"), true},

		{"audit imports nothing of ours", "audit", own("cluster"), true},
		{"audit quotes command lines", "audit", own("internal/shellword"), false},
		{"any package quotes command lines", "internal/kubeapi", own("internal/shellword"), false},
		{"quoting is a leaf", "internal/shellword", own("internal/durable"), true},
		{"quoting needs nothing from outside", "internal/shellword", "mvdan.cc/sh/v3/syntax", true},
		{"audit is the standard library only", "audit", "sigs.k8s.io/yaml", true},
		{"audit uses the standard library", "audit", "crypto/x509", false},
		{"the catalog lists the checks", "audit/catalog", own("audit/listeners"), false},
		{"the catalog issues nothing", "audit/catalog", own("pki"), true},
		{"a check reads the target", "audit/listeners", own("audit"), false},
		{"a check reads the spec", "audit/listeners", own("cluster"), false},
		{"a check does no I/O", "audit/listeners", own("audit/collect"), true},
		{"a check knows no other subject", "audit/listeners", own("audit/transport"), true},
		{"a check dials nothing", "audit/listeners", client, true},
		{"a check of certificates lints", "audit/certificates", "github.com/zmap/zlint/v3", false},
		{"pki lints only in its tests", "pki", "github.com/zmap/zlint/v3", true},
		{"a new subject is named first", "audit/backups", own("audit"), true},
		{"the catalog does no I/O", "audit/catalog", own("audit/collect"), true},
		{"collect mints certificates", "audit/collect", own("pki/throwaway"), false},
		{"collect knows no store", "audit/collect", own("pki"), true},
		{"collect dials", "audit/collect", client, false},
		{"collecting on a host dials nothing", "audit/collect/host", own("audit/collect"), true},
		{"collecting on a host uses no client", "audit/collect/host", client, true},
		{"collecting on a host fills settings", "audit/collect/host", own("audit"), false},
		{"collect renders nothing", "audit/collect", own("audit/report"), true},
		{"a renderer reads results", "audit/report", own("audit"), false},
		{"a renderer writes SARIF", "audit/report", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif", false},
		{"the command writes no SARIF itself", "cmd/etcdsec", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif", true},
		{"a renderer knows no checks", "audit/report", own("audit/catalog"), true},
		{"the census dials", "audit/census", client, false},

		{"pki reads the spec", "pki", own("cluster"), false},
		{"pki writes durably", "pki", own("internal/durable"), false},
		{"pki signs through the wrapper", "pki", own("pki/internal/cfsslca"), false},
		{"pki does not audit", "pki", own("audit"), true},
		{"pki goes round no wrapper", "pki", cfssl, true},
		{"the wrapper uses cfssl", "pki/internal/cfsslca", cfssl, false},
		{"pki encrypts keys through the wrapper", "pki", own("internal/agekey"), false},
		{"a throwaway certificate needs no store", "pki/throwaway", own("pki"), true},
		{"pki encrypts nothing itself", "pki", age, true},
		{"the wrapper uses age", "internal/agekey", age, false},
		{"the command encrypts nothing itself", "cmd/etcdsec", age, true},
		{"pki signs through a plugin", "pki", own("pki/execsigner"), false},
		{"a plugin is ended with all that it started", "pki/execsigner", own("internal/leash"), false},
		{"a plugin's signer knows no store", "pki/execsigner", own("pki"), true},
		{"a plugin's signer dials nothing", "pki/execsigner", client, true},
		{"an export encodes PKCS #12", "pki/export", "software.sslmate.com/src/go-pkcs12", false},
		{"an export reads a store", "pki/export", own("pki"), false},
		{"pki exports nothing", "pki", "software.sslmate.com/src/go-pkcs12", true},
		{"rotation renews", "pki/rotation", own("pki"), false},
		{"rotation asks the cluster", "pki/rotation", client, false},
		{"kubeapi asks API servers", "internal/kubeapi", "k8s.io/client-go/rest", false},
		{"nothing else asks API servers", "audit/collect/kube", "k8s.io/client-go/rest", true},
		{"no clientset of every group", "internal/kubeapi", "k8s.io/client-go/kubernetes", true},
		{"no clientset of one group", "internal/kubeapi", "k8s.io/client-go/kubernetes/typed/core/v1", true},
		{"objects have Kubernetes' own types", "audit/collect/kube", "k8s.io/api/core/v1", false},
		{"a journal writes durably", "internal/journal", own("internal/durable"), false},
		{"a barrier asks nobody itself", "internal/barrier", own("internal/kubeapi"), true},
		{"a delivery ends what it started", "internal/delivery", own("internal/leash"), false},
		{"a delivery knows no spec", "internal/delivery", own("cluster"), true},
		{"a rotation of keys waits at barriers", "manifests/encryption/rotation", own("internal/barrier"), false},
		{"manifests issue nothing", "manifests", own("pki"), true},
		{"manifests read the spec", "manifests/encryption", own("cluster"), false},
		{"an encryption configuration names its keys as a census does", "manifests/encryption", own("audit"), false},
		{"an encryption configuration knows no checks", "manifests/encryption", own("audit/data"), true},
		{"lint makes results of the audit", "manifests/encryption/lint", own("audit"), false},
		{"lint reads no YAML itself", "manifests/encryption/lint", own("internal/strictyaml"), true},
		{"policies render no manifests", "policies", own("manifests"), true},
		{"policies know no checks", "policies", own("audit"), true},
		{"a proof has violations of a severity", "policies/reach", own("audit"), false},
		{"a proof reads no files", "policies/reach", own("internal/durable"), true},
		{"policies are linted", "policies/lint", own("policies/reach"), false},
		{"a packet filter is what nft says", "policies/nft", own("internal/durable"), true},
		{"a guard loads rules", "policies/guard", own("policies/nft"), false},
		{"a guard makes its plan", "policies/guard", own("policies"), false},
		{"a guard follows no packets", "policies/guard", own("policies/reach"), true},
		{"policies dial nothing", "policies", client, true},
		{"policies make objects", "policies", own("policies/kube"), false},
		{"objects know no spec", "policies/kube", own("cluster"), true},
		{"rbac dials", "policies/rbac", client, false},
		{"rbac reads the spec", "policies/rbac", own("cluster"), false},
		{"rbac reads the certificates of a store", "policies/rbac", own("pki"), false},
		{"rbac renders no policies", "policies/rbac", own("policies"), true},
		{"a package takes no flags", "policies", cobra, true},
		{"nothing of ours imports the command", "pki", own("cmd/etcdsec/internal/x"), true},

		{"a package that has no rule", "helpers", "fmt", true},
		{"a prefix is a whole path element", "pki", "github.com/cloudflare/cfssl2", false},
		{"an own prefix is a whole path element", "pkix", "fmt", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := violations(test.path, []string{test.imported})
			if refused := len(got) > 0; refused != test.refused {
				t.Errorf("%s importing %s: refused %t, want %t: %q", test.path, test.imported, refused, test.refused, got)
			}
		})
	}
}
