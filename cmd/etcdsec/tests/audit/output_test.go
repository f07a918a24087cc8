package audit_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	render "github.com/etcdsec/etcdsec/audit/report"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// Every format has the finding of a real member, and findings beat nothing: exit 3.
func TestAuditRunOutputs(t *testing.T) {
	client, peer, _ := etcdtest.Plain(t, etcdtest.V3_6)
	dir := t.TempDir()
	args := []string{"audit", "run", "--timeout", "1m", client, "--peer", peer}
	for _, name := range render.Names() {
		args = append(args, "-o", name+"="+filepath.Join(dir, name))
	}
	status, stdout, stderr := clitest.Run(t, args...)
	if status != clitest.StatusFindings || stdout != "" || stderr != "" {
		t.Fatalf("exit %d: %s%s", status, stdout, stderr)
	}
	for _, name := range render.Names() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want := "client-plaintext"
		if name == "cklb" {
			want = "V-242427" // a checklist is by rules
		}
		if !strings.Contains(string(data), want) {
			t.Errorf("%s: no %s", name, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(render.Names()) {
		t.Errorf("left behind: %v %v", entries, err)
	}
	var report audit.Report
	data, err := os.ReadFile(filepath.Join(dir, "json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if l := report.Inventory.Listeners; len(l) != 2 || !l[0].Plaintext || l[0].TLS || l[0].Kind != audit.Client || !l[1].Plaintext || l[0].Version == "" || l[0].Cluster == "" {
		t.Errorf("inventory %+v", l)
	}
}
