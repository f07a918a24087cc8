package host

// Embedded is an etcd that a program has inside of its own process, with the files that its
// program writes for it, as paths on the host.
type Embedded struct {
	Program           string
	Config            string // etcd's configuration
	CACert, Cert, Key string
	ClientURL         string
}

// embedded returns the etcd of a k3s server; nil if there is none, as where k3s stores elsewhere.
func (c *collector) embedded() *Embedded {
	const server = "/var/lib/rancher/k3s/server"
	e := &Embedded{
		Program: "k3s", Config: server + "/db/etcd/config", ClientURL: "https://127.0.0.1:2379",
		CACert: server + "/tls/etcd/server-ca.crt", Cert: server + "/tls/etcd/client.crt", Key: server + "/tls/etcd/client.key",
	}
	if info, err := c.host.stat(e.Config); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return e
}
