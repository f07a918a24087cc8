package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
)

// tree writes a host's files below a folder. A value that begins with "-> " is a symlink.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if target, found := strings.CutPrefix(text, "-> "); found {
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, at); err != nil {
				t.Fatal(err)
			}
			continue
		}
		writeFile(t, at, text)
	}
	return root
}

func look(t *testing.T, config host.Config) *host.Host {
	t.Helper()
	h, err := host.Find(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// found is what is compared of a host: each etcd's origin, its settings and its faults.
type found struct {
	Origin string
	Values map[string]string
	Faults []audit.Fault
}

func summary(h *host.Host) []found {
	var all []found
	for _, s := range h.Etcds {
		all = append(all, found{s.Origin, values(s), s.Faults})
	}
	return all
}

const manifest = "etc/kubernetes/manifests/etcd.yaml"

func pod(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd}\nspec:\n" + spec
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []found
	}{
		"command": {map[string]string{manifest: pod("  containers:\n  - command: [etcd, --name=a, --client-cert-auth]\n    image: registry.k8s.io/etcd:3.6.8-0\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag)", "client-cert-auth": "true (flag)"}, nil}}},
		"command and args": {map[string]string{manifest: pod("  containers:\n  - command: [/usr/local/bin/etcd]\n    args: [--name, a]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag)"}, nil}}},
		"image's entry point": {map[string]string{manifest: pod("  containers:\n  - image: quay.io/coreos/etcd:v3.6.16@sha256:00\n    args: [--name=a]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag)"}, nil}}},
		"JSON, and any name": {map[string]string{"etc/kubernetes/manifests/old.bak": `{"kind":"Pod","spec":{"containers":[{"command":["etcd","--name=a"]}]}}`},
			[]found{{"/etc/kubernetes/manifests/old.bak", map[string]string{"name": "a (flag)"}, nil}}},
		"what the kubelet leaves out": {map[string]string{
			"etc/kubernetes/manifests/.hidden.yaml": pod("  containers: [{command: [etcd]}]\n"),
			"etc/kubernetes/manifests/dir/x.yaml":   pod("  containers: [{command: [etcd]}]\n"),
			"etc/kubernetes/manifests/other.yaml":   pod("  containers: [{command: [nginx]}, {image: example/etcd-backup:1}]\n"),
		}, nil},
		"environment": {map[string]string{manifest: pod("  containers:\n  - command: [etcd, --name=$(NAME), --data-dir=$$(X)]\n    env: [{name: NAME, value: a}, {name: ETCD_CLIENT_CERT_AUTH, value: \"true\"}]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag)", "data-dir": "$(X) (flag)", "client-cert-auth": "true (environment)"}, []audit.Fault{
				{Subject: "data-dir", Reason: `its value "$(X)" is a template, which somebody else fills in`}}}}},
		"what the kubelet fills in": {map[string]string{manifest: pod("  containers:\n  - command: [etcd, '--listen-client-urls=https://$(HOST_IP):2379']\n    env:\n    - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}\n    - {name: ETCD_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}\n")},
			[]found{{"/" + manifest, map[string]string{"listen-client-urls": "https://$(HOST_IP):2379 (flag)"}, []audit.Fault{
				{Subject: "name", Reason: "the kubelet fills in ETCD_NAME"},
				{Subject: "listen-client-urls", Reason: `its value "https://$(HOST_IP):2379" is a template, which somebody else fills in`}}}}},
		"flag and environment": {map[string]string{manifest: pod("  containers:\n  - command: [etcd, --name=a]\n    env: [{name: ETCD_NAME, value: b}]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag) [environment ETCD_NAME=b: the flag counts]"}, []audit.Fault{
				{Subject: "name", Reason: "etcd does not start: ETCD_NAME=b in the environment conflicts with the flag --name"}}}}},
		"a switch with a word": {map[string]string{manifest: pod("  containers: [{command: [etcd, --client-cert-auth, 'true', --name=a]}]\n")},
			[]found{{"/" + manifest, map[string]string{"client-cert-auth": "true (flag)"}, []audit.Fault{{Reason: `etcd does not start: "true" is not a valid flag`}}}}},
		"no truth": {map[string]string{manifest: pod("  containers: [{command: [etcd, --client-cert-auth=yes]}]\n")},
			[]found{{"/" + manifest, map[string]string{"client-cert-auth": "yes (flag)"}, []audit.Fault{{Subject: "client-cert-auth", Reason: `etcd does not start: "yes" is not true or false`}}}}},
		"template": {map[string]string{manifest: pod("  containers: [{command: [etcd, '--name={{ .Node }}']}]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "{{ .Node }} (flag)"}, []audit.Fault{{Subject: "name", Reason: `its value "{{ .Node }}" is a template, which somebody else fills in`}}}}},
		"script": {map[string]string{manifest: pod("  containers: [{command: [/bin/sh, -c, 'exec etcd --name=a']}]\n")},
			[]found{{"/" + manifest, map[string]string{"name": "a (flag)"}, nil}}},
		"script that is none": {map[string]string{manifest: pod("  containers: [{command: [/bin/sh, -c, 'exec etcd --name=a; fi']}]\n")},
			[]found{{"/" + manifest, map[string]string{}, []audit.Fault{{Reason: "a shell script starts etcd, and what it makes of the flags is seen only while it runs"}}}}},
		"config file in a volume": {map[string]string{
			manifest:         pod("  containers:\n  - command: [etcd, --config-file=/conf/etcd.yaml, --client-cert-auth]\n    volumeMounts: [{name: c, mountPath: /conf/}]\n  volumes: [{name: c, hostPath: {path: /srv/etcd}}]\n"),
			"srv/etcd":       "-> /opt/etcd",
			"opt/etcd":       "-> ../data/etcd",
			"data/etcd/etcd": "", "data/etcd/etcd.yaml": "name: a\nfoo: bar\n",
		}, []found{{"/" + manifest, map[string]string{
			"config-file": "/conf/etcd.yaml (flag)", "name": "a (config file /conf/etcd.yaml)",
			"client-cert-auth": " () [flag --client-cert-auth=true: a config file replaces all flags]",
		}, []audit.Fault{{Subject: "/conf/etcd.yaml: foo", Reason: "etcd has no such setting; it has no effect"}}}}},
		"config file in the image": {map[string]string{manifest: pod("  containers: [{command: [etcd, --config-file=/conf/etcd.yaml]}]\n"), "conf/etcd.yaml": "name: of the host\n"},
			[]found{{"/" + manifest, map[string]string{"config-file": "/conf/etcd.yaml (flag)"}, []audit.Fault{
				{Subject: "/conf/etcd.yaml", Reason: "it is in the container's image, or in a volume that is not of the host"},
				{Reason: "the configuration file, which replaces all flags, could not be read: it is in the container's image, or in a volume that is not of the host"}}}}},
		"the kubelet's own folder": {map[string]string{
			"var/lib/kubelet/config.yaml": "kind: KubeletConfiguration\nstaticPodPath: /srv/pods\n", "srv/pods/e.yaml": pod("  containers: [{command: [etcd]}]\n"),
		}, []found{{"/srv/pods/e.yaml", map[string]string{}, nil}}},
		"a given folder": {map[string]string{"given/e.yaml": pod("  containers: [{command: [etcd]}]\n")}, []found{{"/given/e.yaml", map[string]string{}, nil}}},
		"variables of a Secret": {map[string]string{manifest: pod("  containers: [{command: [etcd], envFrom: [{secretRef: {name: x}}]}]\n")},
			[]found{{"/" + manifest, map[string]string{}, []audit.Fault{{Reason: "the manifest takes variables from a ConfigMap or Secret (envFrom)"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := look(t, host.Config{Root: tree(t, c.files), Manifests: []string{"/given"}})
			if diff := cmp.Diff(c.want, summary(h)); diff != "" {
				t.Error(diff)
			}
			if len(h.Faults) > 0 {
				t.Errorf("faults %+v", h.Faults)
			}
		})
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	const (
		etc     = "etc/systemd/system/"
		lib     = "usr/lib/systemd/system/"
		enabled = etc + "multi-user.target.wants/etcd.service"
	)
	for name, c := range map[string]struct {
		files map[string]string
		want  []found
	}{
		"flags over lines": {map[string]string{enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Unit]\nDescription=x\n[Service]\nUser=etcd\nExecStart=/usr/bin/etcd \\\n  --name=a \\\n# a comment\n  --data-dir \"/var/lib/e d\" \\\n  --client-cert-auth\n[Install]\nWantedBy=multi-user.target\n"},
			[]found{{"etcd.service", map[string]string{"name": "a (flag)", "data-dir": "/var/lib/e d (flag)", "client-cert-auth": "true (flag)"}, nil}}},
		"not enabled": {map[string]string{lib + "etcd.service": "[Service]\nExecStart=/usr/bin/etcd\n"}, nil},
		"masked":      {map[string]string{enabled: "-> /" + lib + "etcd.service", etc + "etcd.service": "", lib + "etcd.service": "[Service]\nExecStart=/usr/bin/etcd\n"}, nil},
		"environment": {map[string]string{
			enabled:              "-> /" + lib + "etcd.service",
			lib + "etcd.service": "[Service]\nEnvironment=ETCD_NAME=a \"ETCD_DATA_DIR=/x y\" 'E=1'\nEnvironmentFile=-/etc/default/etcd\nEnvironmentFile=-/etc/nothing\nExecStart=-/usr/bin/etcd $ARGS --wal-dir=${E}/${NONE}w $NONE --log-level=$$x\n",
			"etc/default/etcd":   "ETCD_NAME=b\nARGS=--client-cert-auth --auto-tls=false\n",
		}, []found{{"etcd.service", map[string]string{
			"name": "b (environment)", "data-dir": "/x y (environment)", "client-cert-auth": "true (flag)", "auto-tls": "false (flag)", "wal-dir": "1/w (flag)", "log-level": "$x (flag)",
		}, nil}}},
		"environment file is not there": {map[string]string{enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nEnvironmentFile=/etc/etcd.env\nExecStart=/usr/bin/etcd\n"},
			[]found{{"etcd.service", map[string]string{}, []audit.Fault{{Subject: "/etc/etcd.env", Reason: "it is not there"}, {Reason: "the environment file /etc/etcd.env could not be read: it is not there"}}}}},
		"environment files by pattern": {map[string]string{
			enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nEnvironmentFile=/etc/etcd.d/*.env\nExecStart=/usr/bin/etcd\n",
			"etc/etcd.d/1.env": "ETCD_NAME=a", "etc/etcd.d/2.env": "ETCD_NAME=b", "etc/etcd.d/3.old": "ETCD_NAME=c",
		}, []found{{"etcd.service", map[string]string{"name": "b (environment)"}, nil}}},
		"drop-ins": {map[string]string{
			enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nEnvironment=ETCD_NAME=a\nExecStart=/usr/bin/etcd --auto-tls\n",
			lib + "etcd.service.d/10-x.conf": "[Service]\nEnvironment=ETCD_NAME=overridden\n",
			etc + "etcd.service.d/10-x.conf": "[Service]\nEnvironment=ETCD_NAME=b\n",
			etc + "etcd.service.d/20-y.conf": "[Service]\nExecStart=\nExecStart=/opt/etcd --client-cert-auth\n",
			etc + "etcd.service.d/30-z.conf": "-> /dev/null", "dev/null": "",
			etc + "etcd.service.d/notes.txt": "[Service]\nExecStart=\n",
		}, []found{{"etcd.service", map[string]string{"name": "b (environment)", "client-cert-auth": "true (flag)"}, nil}}},
		"instances": {map[string]string{
			etc + "multi-user.target.wants/etcd@m1.service": "-> /" + lib + "etcd@.service", etc + "multi-user.target.wants/etcd@m2.service": "-> /" + lib + "etcd@.service",
			lib + "etcd@.service": "[Service]\nExecStart=/usr/bin/etcd --name=%i --data-dir=/var/lib/%p/%i --logger=%%\n",
		}, []found{
			{"etcd@m1.service", map[string]string{"name": "m1 (flag)", "data-dir": "/var/lib/etcd/m1 (flag)", "logger": "% (flag)"}, nil},
			{"etcd@m2.service", map[string]string{"name": "m2 (flag)", "data-dir": "/var/lib/etcd/m2 (flag)", "logger": "% (flag)"}, nil},
		}},
		"alias": {map[string]string{
			enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nExecStart=/usr/bin/etcd\n", etc + "etcd2.service": "-> /" + lib + "etcd.service",
		}, []found{{"etcd.service", map[string]string{}, nil}}},
		"shell": {map[string]string{enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nExecStart=/bin/bash -c \"GOMAXPROCS=$(nproc) /usr/bin/etcd --name=a\"\n"},
			[]found{{"etcd.service", map[string]string{"name": "a (flag)"}, nil}}},
		"another program": {map[string]string{etc + "multi-user.target.wants/etcd-backup.service": "-> /" + lib + "etcd-backup.service", lib + "etcd-backup.service": "[Service]\nExecStart=/usr/bin/etcdctl snapshot save /etcd\n"}, nil},
		"relative config file": {map[string]string{
			enabled: "-> /" + lib + "etcd.service", lib + "etcd.service": "[Service]\nWorkingDirectory=/srv\nExecStart=/usr/bin/etcd --config-file=e.yaml\n", "srv/e.yaml": "name: a\n",
		}, []found{{"etcd.service", map[string]string{"config-file": "e.yaml (flag)", "name": "a (config file /srv/e.yaml)"}, nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := look(t, host.Config{Root: tree(t, c.files)})
			if diff := cmp.Diff(c.want, summary(h)); diff != "" {
				t.Error(diff)
			}
			if len(h.Faults) > 0 {
				t.Errorf("faults %+v", h.Faults)
			}
		})
	}
}

// What the auditor may not read, or what waits for it, is a fault; the rest is still found.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	writeFile(t, filepath.Join(outside, "secret.yaml"), pod("  containers: [{command: [etcd, --name=outside]}]\n"))
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", 'b'+i, 'b'+i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", 'a'+i), 10), ","))
	}
	root := tree(t, map[string]string{
		"etc/kubernetes/manifests/a.yaml":      pod("  containers: [{command: [etcd, --name=a]}]\n"),
		"etc/kubernetes/manifests/bomb.yaml":   bomb,
		"etc/kubernetes/manifests/deep.yaml":   strings.Repeat("[", 200000),
		"etc/kubernetes/manifests/huge.yaml":   "kind: Pod\n#" + strings.Repeat("x", 1<<20),
		"etc/kubernetes/manifests/loop.yaml":   "-> loop.yaml",
		"etc/kubernetes/manifests/loop2.yaml":  "-> ../manifests/loop3.yaml",
		"etc/kubernetes/manifests/loop3.yaml":  "-> /etc/kubernetes/manifests/loop2.yaml",
		"etc/kubernetes/manifests/out.yaml":    "-> " + filepath.Join(outside, "secret.yaml"),
		"etc/kubernetes/manifests/up.yaml":     "-> " + strings.Repeat("../", 40) + outside + "/secret.yaml",
		"etc/kubernetes/manifests/broken.yaml": "kind: Pod\nspec: {{ .Values }\n",
		"etc/kubernetes/manifests/types.yaml":  "kind: Pod\nspec: {containers: {a: b}}\n",
		"etc/kubernetes/manifests/doubling.yaml": pod("  containers:\n  - command: [etcd, '--name=b', '--data-dir=$(V30)']\n    env:\n    - {name: V0, value: xxxxxxxxxxxxxxxx}\n" +
			func() (s string) {
				for i := range 30 {
					s += fmt.Sprintf("    - {name: V%d, value: '$(V%d)$(V%d)'}\n", i+1, i, i)
				}
				return s
			}()),
		"etc/hostname": "../../evil\n",
	})
	if err := syscall.Mkfifo(filepath.Join(root, "etc/kubernetes/manifests/fifo.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := look(t, host.Config{Root: root})
	var names []string
	for _, s := range h.Etcds {
		names = append(names, s.Value("name"))
		if len(s.Value("data-dir")) > 20<<10 {
			t.Errorf("a value of %d bytes", len(s.Value("data-dir")))
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Error(diff)
	}
	reasons := map[string]string{}
	for _, f := range h.Faults {
		reasons[filepath.Base(f.Subject)] = f.Reason
	}
	for name, want := range map[string]string{
		"bomb.yaml": "excessive aliasing", "deep.yaml": "exceeded max depth", "huge.yaml": "larger than", "loop.yaml": "too many levels", "loop2.yaml": "too many levels",
		"loop3.yaml": "too many levels", "out.yaml": "not there", "up.yaml": "not there", "broken.yaml": "not the YAML", "types.yaml": "not the YAML", "fifo.yaml": "not a regular file",
	} {
		if !strings.Contains(reasons[name], want) {
			t.Errorf("%s: %q, want %q", name, reasons[name], want)
		}
		delete(reasons, name)
	}
	if len(reasons) > 0 || h.Name != "host" {
		t.Errorf("also %v; host %q", reasons, h.Name)
	}
}

// A copy of /proc is read like files, and none of its links is followed out of the root.
func TestHostileProc(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	writeFile(t, filepath.Join(outside, "etc/etcd.yaml"), "name: outside\n")
	root := tree(t, map[string]string{
		"proc/1/cmdline": "/sbin/init\x00",
		// The executable's name counts, not what the command line claims.
		"proc/10/cmdline": "etcd\x00--name=liar\x00", "proc/10/exe": "-> /bin/sleep",
		"proc/11/cmdline": "/x\x00--name=a\xff\x01b\x00--client-cert-auth\x00--initial-cluster\x00", "proc/11/exe": "-> /usr/bin/etcd (deleted)",
		"proc/11/environ": "ETCD_DATA_DIR=/d\x00\x00\x00=\x00ETCD_\xfe=1\x00",
		"proc/12/cmdline": "etcd\x00--config-file=/etc/etcd.yaml\x00", "proc/12/root": "-> " + outside,
		"proc/13/cmdline": "etcd\x00gateway\x00start\x00",
		"proc/14/cmdline": "",
		"proc/15/cmdline": "/usr/local/bin/etcd\x00", "proc/15/stat": "15 (etcd) S",
		"proc/16":         "not a folder",
		"proc/17/cmdline": "/usr/bin/etcd\x00--name=versioned\x00", "proc/17/exe": "-> /opt/etcd-3.5.21", "proc/17/environ": "",
		"proc/self/cmdline": "etcd\x00", "proc/99999999999999999999/cmdline": "etcd\x00",
		"proc/stat": "btime x\n",
	})
	got := summary(look(t, host.Config{Root: root}))
	want := []found{
		{"process a\ufffd\ufffdb", map[string]string{"name": "a\ufffd\ufffdb (flag)", "client-cert-auth": "true (flag)", "data-dir": "/d (environment)"}, []audit.Fault{
			{Reason: "etcd does not start: --initial-cluster needs a value"},
			{Subject: "environment ETCD_\ufffd", Reason: "etcd has no flag of this name, so the variable has no effect"}}},
		{"process default", map[string]string{"config-file": "/etc/etcd.yaml (flag)"}, []audit.Fault{
			{Subject: "/etc/etcd.yaml", Reason: "it is not there"}, {Reason: "the configuration file, which replaces all flags, could not be read: it is not there"}}},
		{"process default 15", map[string]string{}, []audit.Fault{{Reason: "the environment of process 15 could not be read: it is not there"}}},
		{"process versioned", map[string]string{"name": "versioned (flag)"}, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A static Pod and its process are one etcd: what runs counts, and what the manifest says
// otherwise is said.
func TestManifestAndProcess(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		manifest:          pod("  containers: [{image: 'registry.k8s.io/etcd:3.6.8-0', command: [etcd, --name=a, --data-dir=/var/lib/etcd, --client-cert-auth=true, --auto-tls, '--listen-client-urls=https://10.0.0.1:2379']}]\n"),
		"proc/1/cmdline":  "/sbin/init\x00",
		"proc/20/cmdline": "etcd\x00--name=a\x00--data-dir=/var/lib/etcd\x00--client-cert-auth=false\x00--enable-pprof\x00--listen-client-urls=https://10.0.0.1:2379\x00",
		"proc/20/environ": "PATH=/bin\x00",
		"proc/21/cmdline": "etcd\x00--name=events\x00--data-dir=/var/lib/events\x00", "proc/21/environ": "",
		"etc/kubernetes/manifests/stopped.yaml": pod("  containers: [{command: [etcd, --name=stopped, --data-dir=/var/lib/stopped]}]\n"),
	}
	h := look(t, host.Config{Root: tree(t, files)})
	want := []found{
		{"/" + manifest, map[string]string{
			"name": "a (flag)", "data-dir": "/var/lib/etcd (flag)", "listen-client-urls": "https://10.0.0.1:2379 (flag)", "enable-pprof": "true (flag)",
			"client-cert-auth": "false (flag) [/" + manifest + " says --client-cert-auth=true: the process was started without it: restart it]",
		}, []audit.Fault{
			{Subject: "/" + manifest, Reason: "it says --auto-tls=true, and the process runs without it: restart it"},
			{Subject: "/" + manifest, Reason: "it does not say --enable-pprof, with which the process runs: restart it"}}},
		{"/etc/kubernetes/manifests/stopped.yaml", map[string]string{"name": "stopped (flag)", "data-dir": "/var/lib/stopped (flag)"}, []audit.Fault{
			{Subject: "/etc/kubernetes/manifests/stopped.yaml", Reason: "no process of it is running"}}},
		{"process events", map[string]string{"name": "events (flag)", "data-dir": "/var/lib/events (flag)"}, nil},
	}
	if diff := cmp.Diff(want, summary(h)); diff != "" {
		t.Error(diff)
	}
	if s := h.Etcds[0]; s.Version != "3.6.8" || !s.Running || s.Fault("auto-tls") != "" {
		t.Errorf("got %+v", s)
	}
	if h.Etcds[1].Running || h.Etcds[0].Files[0].Role != audit.ManifestFile {
		t.Errorf("got %+v", h.Etcds)
	}
}
