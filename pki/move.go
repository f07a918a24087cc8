package pki

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// move tells how the names of a member change with a run.
type move struct {
	member cluster.Member
	moved  bool  // whether the advertised address is new
	gone   Names // for which the new certificates are not valid any more
	kept   Names // that they keep from an import, and not from the spec
}

// findMoves returns the members that get a new advertised address, or lose names.
func (w *Survey) findMoves(c *cluster.Cluster) []move {
	var moves []move
	for _, m := range c.Etcd.Members {
		found := move{member: m}
		for l := range w.plan.leaves() {
			work, signed := w.leaves[l.ID]
			if !signed || work.state.chain == nil || l.ID.Member != m.Name || l.Role != RoleServer && l.Role != RolePeer {
				continue
			}
			got, _ := namesOf(work.state.chain[0])
			gained := l.Names.without(got)
			a := m.Advertised()
			found.moved = found.moved || a.IP.IsValid() && slices.Contains(gained.IPs, a.IP) || a.DNS != "" && slices.Contains(gained.DNS, a.DNS)
			found.gone = found.gone.union(got.without(l.Names))
			found.kept = found.kept.union(l.keptNames)
		}
		if found.moved || !found.gone.isEmpty() {
			moves = append(moves, found)
		}
	}
	return moves
}

// warn tells what must be known before the new certificates are copied; empty if nothing.
func (v move) warn(dir string) string {
	gone := strings.Join(v.gone.typed(), " ")
	switch {
	case v.gone.isEmpty():
		return ""
	case !v.moved:
		return fmt.Sprintf("before you copy: the new certificates of %s are not valid for %s any more; make sure that nobody uses it", v.member.Name, gone)
	}
	warning := fmt.Sprintf("before you copy: %s moves to %s, and its new certificates are not valid for %s any more, so copy them with the move and not before it.",
		v.member.Name, v.member.Advertised(), gone)
	var extra []string
	for _, typed := range v.gone.typed() {
		if kind, name, _ := strings.Cut(typed, ":"); leftOut(kind, name) == "" {
			extra = append(extra, name)
		}
	}
	if extra == nil {
		return warning
	}
	return warning + fmt.Sprintf(" For certificates that are valid for both, add to %s in the spec: extraNames: [%s], and run again: etcdsec pki renew -f SPEC %s",
		v.member.Name, strings.Join(yamlWords(extra), ", "), shellword.Path(dir))
}

// steps tells in which order a member gets its new address.
func (v move) steps(c *cluster.Cluster, dir string) []string {
	m, host := v.member, v.member.Advertised().String()
	at := func(port uint16) string { return "https://" + net.JoinHostPort(host, strconv.Itoa(int(port))) }
	configure := fmt.Sprintf("write the configurations and firewall rules with %s: etcdsec bootstrap -f %s %s; apply the rules on all nodes before the move",
		host, shellword.Path(filepath.Join(dir, SpecName)), shellword.Path(dir))
	restart := fmt.Sprintf("give the node of %s the address %s, copy nodes/%s to it, and restart etcd there, and on no other node", m.Name, host, m.Name)
	if c.PKI.Layout != cluster.LayoutEtcdsec && c.PKI.Layout != cluster.LayoutCustom || c.PKI.Hierarchy == cluster.Shared {
		configure = fmt.Sprintf("prepare the configuration of %s with the tool that runs etcd: --listen-*-urls, --advertise-client-urls=%s and --initial-advertise-peer-urls=%s; let the firewalls of all nodes accept %s",
			m.Name, at(c.Etcd.ClientPort), at(c.Etcd.PeerPort), host)
		restart = fmt.Sprintf("give the node of %s the address %s and the new configuration, and restart etcd there, and on no other node", m.Name, host)
	}
	steps := []string{
		configure,
		fmt.Sprintf("tell the cluster, with the ID from etcdctl member list: etcdctl member update ID --peer-urls=%s", at(c.Etcd.PeerPort)),
		restart,
		fmt.Sprintf("give kube-apiserver and the other clients the endpoint %s, and check: etcdsec pki verify %s", at(c.Etcd.ClientPort), shellword.Path(dir)),
	}
	switch {
	case !v.kept.isEmpty():
		steps = append(steps, fmt.Sprintf("when %s has moved, drop what its certificates keep from their import, %s, if nobody needs it: etcdsec pki renew -f SPEC %s %s --forget-import",
			m.Name, strings.Join(v.kept.typed(), " "), shellword.Path(dir), shellword.Path(m.Name)))
	case v.gone.isEmpty():
		steps = append(steps, fmt.Sprintf("when %s has moved, remove its old address from the spec, and run: etcdsec pki renew -f SPEC %s", m.Name, shellword.Path(dir)))
	}
	return steps
}
