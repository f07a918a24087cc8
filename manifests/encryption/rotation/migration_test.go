package rotation

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// A migration that neither succeeds nor fails is given up, whatever it says of itself, and deleted.
func TestMigrationWithoutEnd(t *testing.T) {
	t.Parallel()
	const migrations = "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations"
	for _, c := range []struct {
		name, conditions, told string
		each                   time.Duration // from one look at the clock to the next
	}{
		{"it runs", `{"type":"Running","status":"True"}`, "has not ended within 1h", migrationLimit},
		{"nobody works on it", "", "nobody works on the migration", migrationPatience},
		{"it is in no known state", `{"type":"Succeeded","status":"False"},{"type":"Failed","status":"Unknown"}`, "has not ended within 1h", migrationLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var deleted atomic.Int64
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				if request.Method == http.MethodDelete && request.URL.Path == migrations+"/m" {
					deleted.Add(1)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"metadata":{"name":"m"},"status":{"conditions":[%s]}}`, c.conditions)
			}))
			t.Cleanup(server.Close)
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"+
				"clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: u, user: {token: t}}]\n",
				server.URL, base64.StdEncoding.EncodeToString(ca)), 0o600); err != nil {
				t.Fatal(err)
			}
			client, err := kubeapi.Open(kubeapi.Config{Path: path, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			var told strings.Builder
			r := &Rotation{
				Dir:     t.TempDir(),
				Now:     func() time.Time { now = now.Add(c.each); return now },
				Narrate: func(format string, args ...any) { _, _ = fmt.Fprintf(&told, format+"\n", args...) },
			}
			done, err := r.migrate(t.Context(), client, migrations, collection{name: "secrets"})
			if done || err != nil || deleted.Load() != 1 || !strings.Contains(told.String(), c.told) {
				t.Errorf("got %v, %v, deleted %d times; told %s", done, err, deleted.Load(), told.String())
			}
		})
	}
}
