package host

import (
	"path"
	"slices"
)

// Credentials are a client certificate of etcd that lies on the host, as paths on this
// machine.
type Credentials struct {
	From              string // whose they are
	Cert, Key, Bundle string // Bundle are the CAs of the servers
}

// addCredentials notes a pair if both files are there. Who may not read them, may not use
// them, which loading them says.
func (h *Host) addCredentials(v *view, from, cert, key, bundle string) {
	if cert == "" || key == "" || bundle == "" {
		return
	}
	paths := make([]string, 3)
	for i, name := range []string{cert, key, bundle} {
		p, err := v.find(name)
		if err != nil {
			return
		}
		resolved, err := p.tree.resolve(p.path)
		if err != nil {
			return
		}
		paths[i] = p.tree.onDisk(resolved)
	}
	found := Credentials{From: from, Cert: paths[0], Key: paths[1], Bundle: paths[2]}
	if !slices.Contains(h.Credentials, found) {
		h.Credentials = append(h.Credentials, found)
	}
}

// addHealthcheck notes the client that kubeadm makes for the kubelet's probes, beside the
// certificates of etcd.
func (h *Host) addHealthcheck(o *one) {
	ca := o.settings.Value("trusted-ca-file")
	if ca == "" {
		return
	}
	dir := path.Dir(o.view.abs(ca))
	h.addCredentials(o.view, "etcd's healthcheck-client", path.Join(dir, "healthcheck-client.crt"), path.Join(dir, "healthcheck-client.key"), ca)
}
