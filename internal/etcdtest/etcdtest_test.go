package etcdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestThreeMembersOfEachVersion(t *testing.T) {
	for _, version := range Versions() {
		t.Run(version, func(t *testing.T) {
			ports := FreePorts(t, 6)
			cluster := fmt.Sprintf("m0=http://127.0.0.1:%d,m1=http://127.0.0.1:%d,m2=http://127.0.0.1:%d", ports[3], ports[4], ports[5])
			var configs []Config
			for i := range 3 {
				client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[i]), fmt.Sprintf("http://127.0.0.1:%d", ports[3+i])
				configs = append(configs, Config{
					Name: fmt.Sprintf("m%d", i), Version: version, HealthURL: client + "/health",
					Args: []string{
						fmt.Sprintf("--name=m%d", i), "--data-dir=" + t.TempDir(), "--initial-cluster=" + cluster,
						"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
						"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
					},
				})
			}
			members := Run(t, configs...)
			for i := range members {
				if got := serverVersion(t, ports[i]); got != version {
					t.Errorf("member %d says it is %s", i, got)
				}
			}
			members[0].Kill()
			if _, open := <-members[0].Done(); open {
				t.Error("Done is not closed after Kill")
			}
		})
	}
}

func serverVersion(t *testing.T, port int) string {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/version", port))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var v struct {
		Server string `json:"etcdserver"`
	}
	if err := json.NewDecoder(response.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v.Server
}

// A member that cannot start says why, in etcd's own words.
func TestBadFlag(t *testing.T) {
	m := startFor(t, Config{Name: "bad", Args: []string{"--no-such-flag"}, HealthURL: "http://127.0.0.1:1/health"})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := m.WaitHealthy(ctx)
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownVersion(t *testing.T) {
	_, err := Binary(t.Context(), "3.0.0", os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "3.6.16") {
		t.Errorf("got %v", err)
	}
}
