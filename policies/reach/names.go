package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// UnknownHostError means that a file was given for a host that neither the spec nor a dump names.
// What it says would be left out of every proof.
type UnknownHostError struct {
	Name  string
	Known []string
}

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("a file is given for %s, which is neither a member nor a node of the spec or of a dump; known are %s",
		e.Name, strings.Join(e.Known, ", "))
}

// Place returns filters in which every ruleset has the name of a node and every unit the name of a
// member. A file may be given for a host by either name. A name of neither is an UnknownHostError.
func (t Topology) Place(i *policies.Intent, filters policies.Filters) (policies.Filters, error) {
	if len(filters.Units) > 0 && i.Runtime == cluster.Hosted {
		return filters, fmt.Errorf("unit %s: members of runtime hosted are Pods and have no unit; leave the file out", filters.Units[0].Unit)
	}
	placed := filters
	placed.NodeRules, placed.Units = nil, nil
	given := map[string]string{}
	for _, r := range filters.NodeRules {
		node, err := t.findNode(i, r.Node)
		if err != nil {
			return filters, err
		}
		if first, twice := given[node]; twice {
			return filters, fmt.Errorf("two rulesets are given for node %s, as %s and as %s", node, first, r.Node)
		}
		given[node] = r.Node
		placed.NodeRules = append(placed.NodeRules, policies.NodeRules{Node: node, Rules: r.Rules})
	}
	for _, u := range filters.Units {
		if u.Member != "" {
			member, err := t.findMember(i, u.Member)
			if err != nil {
				return filters, err
			}
			u.Member = member
		}
		placed.Units = append(placed.Units, u)
	}
	return placed, nil
}

// findNode returns the node of a name: its own, or that of the member or API server on it.
func (t Topology) findNode(i *policies.Intent, name string) (string, error) {
	var found []string
	for _, n := range t.Nodes {
		if n.Name == name {
			found = append(found, name)
		}
	}
	for _, h := range slices.Concat(i.Members, i.APIServers) {
		if n := t.nodeOf(h.Addrs); n != nil && (h.Name == name || h.Node == name) && !slices.Contains(found, n.Name) {
			found = append(found, n.Name)
		}
	}
	switch len(found) {
	case 0:
		return "", t.unknownHost(i, name)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("a file is given for %s, which is the name of a node and of a member on node %s; give it for a name of one host", name, found[1])
}

// findMember returns the member of a name: its own, or that of its node.
func (t Topology) findMember(i *policies.Intent, name string) (string, error) {
	if m := memberOf(i, func(m policies.Host) bool { return m.Name == name }); m != nil {
		return m.Name, nil
	}
	m := memberOf(i, func(m policies.Host) bool {
		n := t.nodeOf(m.Addrs)
		return m.Node == name || n != nil && n.Name == name
	})
	if m == nil {
		return "", t.unknownHost(i, name)
	}
	return m.Name, nil
}

func memberOf(i *policies.Intent, is func(policies.Host) bool) *policies.Host {
	if at := slices.IndexFunc(i.Members, is); at >= 0 {
		return &i.Members[at]
	}
	return nil
}

func (t Topology) unknownHost(i *policies.Intent, name string) error {
	e := &UnknownHostError{Name: name}
	if i.Runtime != cluster.Hosted {
		for _, m := range i.Members {
			e.Known = append(e.Known, m.Name)
		}
	}
	for _, n := range t.Nodes {
		if !slices.Contains(e.Known, n.Name) {
			e.Known = append(e.Known, n.Name)
		}
	}
	const most = 12
	if more := len(e.Known) - most; more > 0 {
		e.Known = append(e.Known[:most:most], fmt.Sprintf("%d more", more))
	}
	return e
}
