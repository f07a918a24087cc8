package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit/collect/host"
)

// The environment files of a unit that is judged alone are those of the host where it lies. A dash
// before a path means that the file may be missing.
func TestUnitFileEnvironment(t *testing.T) {
	t.Parallel()
	unit := func(files string) string {
		return "[Service]\n" + files + "ExecStart=/usr/bin/etcd --name=a $ARGS\n"
	}
	const at = "etc/systemd/system/etcd.service"
	for name, c := range map[string]struct {
		files    map[string]string
		at       string
		want     string // of client-cert-auth
		fault    string
		isFaulty bool
	}{
		"optional, absent":   {files: map[string]string{at: unit("EnvironmentFile=-/etc/default/etcd\n")}, at: at},
		"optional, present":  {files: map[string]string{at: unit("EnvironmentFile=-/etc/default/etcd\n"), "etc/default/etcd": "ETCD_CLIENT_CERT_AUTH=true\n"}, at: at, want: "true"},
		"arguments":          {files: map[string]string{at: unit("EnvironmentFile=-/etc/default/etcd\n"), "etc/default/etcd": "ARGS=--client-cert-auth\n"}, at: at, want: "true"},
		"wanted, absent":     {files: map[string]string{at: unit("EnvironmentFile=/etc/default/etcd\n")}, at: at, isFaulty: true, fault: "the environment file /etc/default/etcd could not be read: it is not there"},
		"wanted, present":    {files: map[string]string{at: unit("EnvironmentFile=/etc/default/etcd\n"), "etc/default/etcd": "ETCD_CLIENT_CERT_AUTH=true\n"}, at: at, want: "true"},
		"optional, a folder": {files: map[string]string{at: unit("EnvironmentFile=-/etc/default/etcd\n"), "etc/default/etcd/x": ""}, at: at, isFaulty: true, fault: "/etc/default/etcd"},
		"by pattern":         {files: map[string]string{at: unit("EnvironmentFile=-/etc/etcd.d/*.env\n"), "etc/etcd.d/1.env": "ETCD_CLIENT_CERT_AUTH=true\n"}, at: at, want: "true"},
		"alone":              {files: map[string]string{"etcd.service": unit("EnvironmentFile=-/nowhere/at/all\n")}, at: "etcd.service"},
		"alone, wanted":      {files: map[string]string{"etcd.service": unit("EnvironmentFile=/nowhere/at/all\n")}, at: "etcd.service", isFaulty: true, fault: "the environment file /nowhere/at/all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := host.ReadFile(filepath.Join(tree(t, c.files), c.at))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Value("name") != "a" || found[0].Value("client-cert-auth") != c.want {
				t.Errorf("got %+v", found[0])
			}
			if fault := found[0].Fault(""); (fault != "") != c.isFaulty || !strings.Contains(fault, c.fault) {
				t.Errorf("fault %q, want %q in it", fault, c.fault)
			}
		})
	}
	// One that lies on this machine reads the files of this machine.
	dir := t.TempDir()
	file := filepath.Join(dir, "etcd.env")
	if err := os.WriteFile(file, []byte("ETCD_CLIENT_CERT_AUTH=true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etcd.service"), []byte(unit("EnvironmentFile=-"+file+"\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := host.ReadFile(filepath.Join(dir, "etcd.service"))
	if err != nil || found[0].Value("client-cert-auth") != "true" {
		t.Errorf("got %v %v", found, err)
	}
}
