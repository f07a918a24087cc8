package host

import (
	"path"
	"slices"
)

// Credentials is a client certificate for etcd that is on the host. Its paths are those of this
// machine.
type Credentials struct {
	From              string // whose they are
	Cert, Key, Bundle string // Bundle are the CAs of the servers
}

// addCredentials notes a pair if both files exist. Loading them later shows whether they can be
// read.
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
		paths[i] = p.tree.diskPath(resolved)
	}
	found := Credentials{From: from, Cert: paths[0], Key: paths[1], Bundle: paths[2]}
	if !slices.Contains(h.Credentials, found) {
		h.Credentials = append(h.Credentials, found)
	}
}

// addHealthcheck notes the client certificate that kubeadm makes for the kubelet's probes. It is
// in the folder of etcd's certificates.
func (h *Host) addHealthcheck(o *instance) {
	ca := o.settings.Value("trusted-ca-file")
	if ca == "" {
		return
	}
	dir := path.Dir(o.view.absolute(ca))
	h.addCredentials(o.view, "etcd's healthcheck-client", path.Join(dir, "healthcheck-client.crt"), path.Join(dir, "healthcheck-client.key"), ca)
}
