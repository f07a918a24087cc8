package host_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
)

// Where no manifest and no unit says how an etcd is limited, the kernel does; a manifest counts more.
func TestStatusOfProcess(t *testing.T) {
	t.Parallel()
	const status = "Name:\tetcd\nUid:\t1000\t998\t998\t998\nCapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n"
	files := map[string]string{"proc/1/cmdline": "/sbin/init\x00", "proc/7/cmdline": "etcd\x00--name=a\x00", "proc/7/environ": "", "proc/7/status": status}
	h := look(t, host.Config{Root: tree(t, files)})
	want := &audit.Sandbox{By: audit.ProcessStatus, Values: map[string]string{"Uid": "998", "CapEff": "00000000a80425fb", "NoNewPrivs": "0", "Seccomp": "2"}}
	if diff := cmp.Diff(want, h.Etcds[0].Sandbox); diff != "" {
		t.Error(diff)
	}
	files["etc/kubernetes/manifests/etcd.yaml"] = pod("  containers:\n  - command: [etcd, --name=a]\n")
	if h := look(t, host.Config{Root: tree(t, files)}); len(h.Etcds) != 1 || h.Etcds[0].Sandbox.By != audit.ManifestFile {
		t.Errorf("got %+v", h.Etcds)
	}
	files["proc/7/status"] = "no status"
	delete(files, "etc/kubernetes/manifests/etcd.yaml")
	if h := look(t, host.Config{Root: tree(t, files)}); len(h.Etcds[0].Sandbox.Values) != 0 {
		t.Errorf("got %+v", h.Etcds[0].Sandbox)
	}
}
