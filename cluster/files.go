package cluster

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/etcdsec/etcdsec/internal/placeholder"
)

// Layout names the tool whose file names the members' nodes use.
type Layout string

// The layouts.
const (
	LayoutEtcdsec Layout = "etcdsec"
	// LayoutKubeadm is kubeadm's certificatesDir. kubeadm knows only one etcd CA, so with this layout
	// the other root signs the root of the peers.
	LayoutKubeadm Layout = "kubeadm"
	LayoutK3s     Layout = "k3s"    // server/tls/etcd of k3s and RKE2
	LayoutKOps    Layout = "kops"   // the files of etcd-manager
	LayoutCustom  Layout = "custom" // spec.pki.files
)

// Layouts returns every layout.
func Layouts() []Layout {
	return []Layout{LayoutEtcdsec, LayoutKubeadm, LayoutK3s, LayoutKOps, LayoutCustom}
}

// defaultPKIDir returns the folder in which the tool of a layout keeps its files.
func defaultPKIDir(l Layout) string {
	switch l {
	case LayoutKubeadm:
		return "/etc/kubernetes/pki"
	case LayoutK3s:
		return "/var/lib/rancher/k3s/server/tls/etcd"
	default:
		return "/etc/kubernetes/pki/etcd"
	}
}

// Files holds the names of a member's files below its pkiDir, slash-separated.
type Files struct {
	ClientCA, PeerCA string // the roots that the client port and the peer port trust
	Server           KeyPair
	Peer             KeyPair
	GatewayClient    KeyPair
	ClientCRL        string
	PeerCRL          string
	// Clients are the clients whose certificates are next to the member's own.
	Clients []ClientFiles

	// shared is hierarchy shared: one file may be both CAs, and one pair that of server and peer.
	shared bool
}

// KeyPair holds the names of the files of a certificate and its key, which can be one file.
type KeyPair struct{ Cert, Key string }

// ClientFiles holds the names of the files of one client of the spec.
type ClientFiles struct {
	Client string
	KeyPair
}

func pairOf(base string) KeyPair { return KeyPair{Cert: base + ".crt", Key: base + ".key"} }

// preset holds the file names of a layout, and the roles of the clients whose files are next to a
// member's.
type preset struct {
	files Files
	roles []rolePair
}

type rolePair struct {
	role Role
	KeyPair
}

func presets(l Layout) preset {
	switch l {
	case LayoutKubeadm:
		// kubernetes/kubernetes cmd/kubeadm/app/constants/constants.go
		return preset{
			Files{
				ClientCA: "etcd/ca.crt", PeerCA: "etcd/peer-ca.crt",
				Server: pairOf("etcd/server"), Peer: pairOf("etcd/peer"), GatewayClient: pairOf("etcd/gateway-client"),
				ClientCRL: "etcd/client.crl", PeerCRL: "etcd/peer.crl",
			},
			[]rolePair{{RoleHealthcheck, pairOf("etcd/healthcheck-client")}, {RoleKubernetes, pairOf("apiserver-etcd-client")}},
		}
	case LayoutK3s:
		// k3s-io/k3s pkg/daemons/control/deps/deps.go
		return preset{
			Files{
				ClientCA: "server-ca.crt", PeerCA: "peer-ca.crt",
				Server: pairOf("server-client"), Peer: pairOf("peer-server-client"), GatewayClient: pairOf("gateway-client"),
				ClientCRL: "client.crl", PeerCRL: "peer.crl",
			},
			[]rolePair{{RoleKubernetes, pairOf("client")}},
		}
	case LayoutKOps:
		// kubernetes-sigs/etcd-manager pkg/etcd/pki.go
		return preset{Files{
			ClientCA: "clients/ca.crt", PeerCA: "peers/ca.crt",
			Server: pairOf("clients/server"), Peer: pairOf("peers/me"), GatewayClient: pairOf("clients/gateway-client"),
			ClientCRL: "clients/client.crl", PeerCRL: "peers/peer.crl",
		}, nil}
	default:
		return preset{Files{
			ClientCA: "ca.crt", PeerCA: "peer-ca.crt",
			Server: pairOf("server"), Peer: pairOf("peer"), GatewayClient: pairOf("gateway-client"),
			ClientCRL: "client.crl", PeerCRL: "peer.crl",
		}, nil}
	}
}

// FilesOf returns the file names of a layout, with one client for each role that has files in it.
func FilesOf(l Layout) Files {
	p := presets(l)
	for _, r := range p.roles {
		p.files.Clients = append(p.files.Clients, ClientFiles{string(r.role), r.KeyPair})
	}
	return p.files
}

// OwnFlags reports whether etcd's flags come from this spec, as with the layouts etcdsec and kubeadm,
// and not from the tool whose PKI was imported.
func (c *Cluster) OwnFlags() bool {
	return c.PKI.Hierarchy != Shared && (c.PKI.Layout == LayoutEtcdsec || c.PKI.Layout == LayoutKubeadm)
}

// Files returns the names of a member's files below its PKIDir.
func (c *Cluster) Files(m Member) Files {
	f := c.PKI.files.expand(m.Name)
	if c.PKI.Hierarchy == Shared {
		f.PeerCA = f.ClientCA
	}
	return f
}

// expand puts a member's name into the names.
func (f Files) expand(member string) Files {
	at := func(s *string) { *s = expandName(*s, member) }
	for _, s := range []*string{
		&f.ClientCA, &f.PeerCA, &f.Server.Cert, &f.Server.Key, &f.Peer.Cert, &f.Peer.Key,
		&f.GatewayClient.Cert, &f.GatewayClient.Key, &f.ClientCRL, &f.PeerCRL,
	} {
		at(s)
	}
	f.Clients = slices.Clone(f.Clients)
	for i := range f.Clients {
		at(&f.Clients[i].Cert)
		at(&f.Clients[i].Key)
	}
	return f
}

// FilesConfig holds the file names of layout custom, below pkiDir. {{.Name}} is the member's name.
type FilesConfig struct {
	ClientCA  string              `yaml:"clientCA"`
	PeerCA    string              `yaml:"peerCA"`
	Server    KeyPairConfig       `yaml:"server"`
	Peer      KeyPairConfig       `yaml:"peer"`
	Gateway   KeyPairConfig       `yaml:"gatewayClient"`
	ClientCRL string              `yaml:"clientCRL"`
	PeerCRL   string              `yaml:"peerCRL"`
	Clients   []ClientFilesConfig `yaml:"clients"`
}

// KeyPairConfig holds the names of the files of a certificate and its key.
type KeyPairConfig struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// ClientFilesConfig holds the file names of a client whose certificate is next to each member's.
type ClientFilesConfig struct {
	Name string `yaml:"name"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

func (f FilesConfig) isSet() bool {
	return f.ClientCA+f.PeerCA+f.Server.Cert+f.Server.Key+f.Peer.Cert+f.Peer.Key+f.Gateway.Cert+f.Gateway.Key+f.ClientCRL+f.PeerCRL != "" || len(f.Clients) > 0
}

// filesField is the field of the spec that holds a [FilesConfig], with a dot behind it.
const filesField = "spec.pki.files."

func (v *validator) files(config FilesConfig, layout Layout, hierarchy Hierarchy, clients []Client) Files {
	if layout != LayoutCustom {
		if config.isSet() {
			v.fault("spec.pki.files", "only layout custom can have these file names")
		}
		return presetFiles(layout, clients)
	}
	f := presets(LayoutEtcdsec).files
	f.GatewayClient = KeyPair{} // no member with foreign flags gets one ([Cluster.OwnFlags])
	take := func(field string, into *string, given string, required bool) {
		field = filesField + field
		switch {
		case given == "" && required:
			v.fault(field, "is missing; layout custom must name every file of a member")
		case given == "":
			return
		}
		v.checkFileName(field, given)
		*into = given
	}
	take("clientCA", &f.ClientCA, config.ClientCA, true)
	if hierarchy != Shared {
		take("peerCA", &f.PeerCA, config.PeerCA, true)
	} else {
		if config.PeerCA != "" && config.PeerCA != config.ClientCA {
			v.fault(filesField+"peerCA", "both ports trust clientCA with hierarchy %s; remove peerCA, or choose another hierarchy", Shared)
		}
		f.PeerCA = f.ClientCA
	}
	takePair := func(field string, into *KeyPair, given KeyPairConfig, required bool) {
		take(field+".cert", &into.Cert, given.Cert, required)
		take(field+".key", &into.Key, given.Key, required) // perhaps that of the certificate, which then holds both
	}
	takePair("server", &f.Server, config.Server, true)
	switch {
	case config.Peer != config.Server || config.Peer.Cert == "" || config.Peer.Key == "":
		takePair("peer", &f.Peer, config.Peer, true)
	case hierarchy != Shared:
		v.fault(filesField+"peer", "server and peer can have one certificate only with hierarchy %s, where one CA signs both", Shared)
	default:
		f.Peer = f.Server
	}
	takePair("gatewayClient", &f.GatewayClient, config.Gateway, false)
	take("clientCRL", &f.ClientCRL, config.ClientCRL, false)
	take("peerCRL", &f.PeerCRL, config.PeerCRL, false)
	for i, given := range config.Clients {
		at := fmt.Sprintf("clients[%d]", i)
		files := ClientFiles{Client: given.Name}
		if !slices.ContainsFunc(clients, func(c Client) bool { return c.Name == given.Name }) {
			v.fault(filesField+at+".name", "%q is not a client of the spec", given.Name)
		}
		if slices.ContainsFunc(config.Clients[:i], func(c ClientFilesConfig) bool { return c.Name == given.Name }) {
			v.fault(filesField+at+".name", "%q is given twice; each client has one certificate in a member's folder", given.Name)
		}
		takePair(at, &files.KeyPair, KeyPairConfig{given.Cert, given.Key}, true)
		f.Clients = append(f.Clients, files)
	}
	return f
}

// presetFiles returns the file names of a layout, with the first client of each role that has files
// in it.
func presetFiles(layout Layout, clients []Client) Files {
	p := presets(layout)
	for _, r := range p.roles {
		if at := slices.IndexFunc(clients, func(c Client) bool { return c.Role == r.role }); at >= 0 {
			p.files.Clients = append(p.files.Clients, ClientFiles{clients[at].Name, r.KeyPair})
		}
	}
	return p.files
}

var plainFileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]*(/[A-Za-z0-9_][A-Za-z0-9._@+-]*)?$`)

// checkFileName allows at most one folder, and no hidden names, which versions and temporary files
// have.
func (v *validator) checkFileName(field, given string) {
	plain, err := placeholder.Expand(given, nameValue("x"))
	switch {
	case given == "":
	case err != nil:
		v.fault(field, "%v", err)
	case path.Clean(plain) != plain || !plainFileName.MatchString(plain):
		v.fault(field, "%q is not a file name below pkiDir, such as server.crt or etcd/server.crt", given)
	}
}
