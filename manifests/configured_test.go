package manifests

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

// What each runtime's files tell others is read back, whichever file has it.
func TestReadConfigured(t *testing.T) {
	for name, more := range map[string]string{
		"static Pod":      "",
		"configuration":   "    runtime: systemd\n",
		"flags of a unit": "    runtime: systemd\n  pki: {crl: true}\n",
		"hosted":          "    runtime: hosted\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: one}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.11]}, {name: etcd-1, addresses: ["fd00::12"]}]
`+more))
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, m := range c.Etcd.Members {
				rendered, err := Member(c, m)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range rendered {
					files[f.Path] = f.Data
				}
			}
			read := func(name string) ([]byte, error) {
				if data, ok := files[name]; ok {
					return data, nil
				}
				return nil, fs.ErrNotExist
			}
			hosts := func() (all []string) {
				found, err := ReadConfigured(c, read)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range found {
					if h.Fault != nil {
						all = append(all, "fault")
						continue
					}
					kind := "client"
					if h.Peer {
						kind = "peer"
					}
					all = append(all, strings.Join([]string{h.Setting, h.Member, h.Host, kind}, " "))
				}
				return all
			}
			want := []string{
				"advertise-client-urls etcd-0 10.0.0.11 client", "initial-advertise-peer-urls etcd-0 10.0.0.11 peer", "initial-cluster etcd-1 fd00::12 peer",
				"advertise-client-urls etcd-1 fd00::12 client", "initial-advertise-peer-urls etcd-1 fd00::12 peer", "initial-cluster etcd-0 10.0.0.11 peer",
			}
			if diff := cmp.Diff(want, hosts()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for name, data := range files {
				files[name] = bytes.ReplaceAll(data, []byte("https://[fd00::12]:2380"), []byte("::"))
			}
			if got := hosts(); len(got) == 0 || got[0] != "fault" {
				t.Errorf("of what is no URL: %q", got)
			}
			clear(files)
			if got := hosts(); len(got) != 0 {
				t.Errorf("of no files: %q", got)
			}
		})
	}
}
