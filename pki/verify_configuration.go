package pki

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// ConfiguredHost is a host that a configuration file of a store tells to others.
type ConfiguredHost struct {
	File    string // in the store
	Setting string // such as advertise-client-urls
	Member  string // the member that is to be reached there
	Host    string
	Peer    bool  // whether peers reach it there, and not clients
	Fault   error // why the file could not be read; it then has no other field but File
}

// VerifyConfigurations finds where the members' configurations disagree with the spec and with the
// certificates. After an address changed in the spec, both must be made anew, and a member with one of
// them only is refused by its peers and clients.
func (s *Store) VerifyConfigurations(c *cluster.Cluster, hosts []ConfiguredHost) []Finding {
	var found findings
	for _, h := range hosts {
		if h.Fault != nil {
			found.add(h.File, s.configurationFix(h), "cannot be read: %v", h.Fault)
			continue
		}
		m, known := c.Member(h.Member)
		if !known {
			continue // etcd reads the list of members only when it starts a new cluster
		}
		var problems []string
		if h.Host != m.Advertised().String() {
			problems = append(problems, fmt.Sprintf("the spec says %s", m.Advertised()))
		}
		if certificate := s.refusing(c, m, h); certificate != "" {
			problems = append(problems, fmt.Sprintf("%s is not valid for %s, so whoever comes there refuses the member", certificate, h.Host))
		}
		if len(problems) > 0 {
			found.add(h.File, s.configurationFix(h), "%s has %s for %s, but %s", h.Setting, h.Host, h.Member, strings.Join(problems, ", and "))
		}
	}
	return found.sortByPath()
}

// refusing returns the path of the certificate that a member presents at a host, if it is not valid
// for that host. That it cannot be read is a finding of its own.
func (s *Store) refusing(c *cluster.Cluster, m cluster.Member, h ConfiguredHost) string {
	file := c.Files(m).Server.Cert
	if h.Peer {
		file = c.Files(m).Peer.Cert
	}
	at := path.Join(memberPath(m), file)
	chain, err := ReadCertificates(filepath.Join(s.Dir, filepath.FromSlash(at)))
	if err != nil || chain[0].VerifyHostname(h.Host) == nil {
		return ""
	}
	return at
}

func (s *Store) configurationFix(h ConfiguredHost) Fix {
	bootstrap := paste("etcdsec bootstrap -f %s %s", filepath.Join(s.Dir, SpecName), s.Dir)
	if h.Member != "" && path.Dir(h.File) != "nodes/"+h.Member {
		return Fix{bootstrap, say("then copy %s to its node, and restart nothing: etcd reads the other members only when it starts a new cluster", path.Dir(h.File))}
	}
	return Fix{
		bootstrap,
		say("then copy %s to its node; if the member's address changed, first etcdctl member update, then restart it with the new files", path.Dir(h.File)),
	}
}

// ReadConfiguration reads a file of the store without a key.
func (s *Store) ReadConfiguration(relative string) ([]byte, error) {
	return durable.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(relative)), maxPEMSize)
}
