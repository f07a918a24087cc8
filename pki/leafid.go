package pki

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// LeafID identifies a leaf of a plan: who holds it, and what for. Names of members and clients are
// free, so no two of them are joined to compare leaves; [LeafID.String] is for people and files.
type LeafID struct {
	Member string // whose bundle has it; empty for the leaf of a client with a folder of its own
	Client string // whom it names; empty for a member's own leaf
	Role   string // of a member's own leaf: RoleServer, RolePeer or RoleGatewayClient
}

// The folders of bundles in a store, with which the long forms of names begin.
const (
	nodesFolder       = "nodes"
	clientsFolder     = "clients"
	authoritiesFolder = "authorities"
)

// memberRoles are the roles of a member's own leaves.
func memberRoles() []string { return []string{RoleServer, RolePeer, RoleGatewayClient} }

// String returns the leaf's name: etcd-0/server, clients/backup, or etcd-0/kube-apiserver for a
// client's leaf in a member's bundle. Different leaves have different names. So a member or a client
// whose short name could be another leaf's gets the long form, such as nodes/clients/server or
// etcd-0/clients/peer.
func (id LeafID) String() string {
	if id.Member == "" {
		return clientsFolder + "/" + id.Client
	}
	name := id.Member + "/" + id.Role
	switch {
	case slices.Contains(memberRoles(), id.Client):
		name = id.Member + "/" + clientsFolder + "/" + id.Client
	case id.Client != "":
		name = id.Member + "/" + id.Client
	}
	if id.Member == clientsFolder || id.Member == nodesFolder {
		return nodesFolder + "/" + name
	}
	return name
}

// parseLeafID returns the leaf with a name that String made. Versions of etcdsec before the long forms
// gave some leaves one name; role, that of the ledger's line, tells most of these apart.
func parseLeafID(name, role string) LeafID {
	parts := strings.Split(name, "/")
	own := slices.Contains(memberRoles(), role)
	switch {
	case len(parts) >= 3 && parts[0] == nodesFolder:
		parts = parts[1:]
	case len(parts) == 2 && parts[0] == clientsFolder && !own:
		return LeafID{Client: parts[1]}
	}
	id := LeafID{Member: parts[0]}
	switch {
	case len(parts) == 2 && parts[1] == role && own:
		id.Role = role
	default:
		id.Client = parts[len(parts)-1]
	}
	return id
}

// certificateHolder identifies an authority or a leaf, exactly one of them.
type certificateHolder struct {
	authority string
	leaf      LeafID
}

func holderOf(l Leaf) certificateHolder { return certificateHolder{leaf: l.ID} }

// holder returns whose certificate the ledger's line records.
func (e Entry) holder() certificateHolder {
	if e.Role == RoleCA || e.Role == RoleCRL {
		return certificateHolder{authority: e.Name}
	}
	return certificateHolder{leaf: parseLeafID(e.Name, e.Role)}
}

// meaning tells what a name that a person gave means for a holder.
type meaning int

const (
	meansOther     meaning = iota
	meansFormerly          // a name that versions before the long forms gave it
	meansAuthority         // by its short name
	meansMember            // the member that holds the leaf, by its short name
	meansClient            // the client that holds the leaf, by its short name
	meansExactly           // a name that can mean nothing else
)

// meaningOf returns what a given name means for a holder. Exact are the names of leaves and the paths
// of folders: etcd-0/server, nodes/etcd-0, clients/backup, authorities/client-root. The short names of
// a member, a client and an authority can be equal.
func (h certificateHolder) meaningOf(name string) meaning {
	switch {
	case h.authority != "" && name == authoritiesFolder+"/"+h.authority,
		h.authority == "" && name == h.leaf.String(),
		h.leaf.Member != "" && name == nodesFolder+"/"+h.leaf.Member:
		return meansExactly
	case h.authority != "" && name == h.authority:
		return meansAuthority
	case h.leaf.Member != "" && name == h.leaf.Member:
		return meansMember
	case h.leaf.Member == "" && h.leaf.Client != "" && name == h.leaf.Client:
		return meansClient
	case h.leaf.Member != "" && name == h.leaf.Member+"/"+h.leaf.Client+h.leaf.Role:
		return meansFormerly
	}
	return meansOther
}

// AmbiguousNameError reports a name that a person gave and that means several things.
type AmbiguousNameError struct {
	Name  string
	Exact []string // the names of these things that mean nothing else
}

func (e *AmbiguousNameError) Error() string {
	return fmt.Sprintf("%q means several things; give one of %s", e.Name, strings.Join(e.Exact, ", "))
}

// chooseMeaning returns what a given name means among some holders: the exact meaning if there is one,
// and an [AmbiguousNameError] if there are several others.
func chooseMeaning(name string, holders iter.Seq[certificateHolder]) (meaning, error) {
	found := map[meaning]bool{}
	for h := range holders {
		found[h.meaningOf(name)] = true
	}
	short := map[meaning]string{meansAuthority: authoritiesFolder, meansMember: nodesFolder, meansClient: clientsFolder}
	chosen, exact := meansOther, []string(nil)
	for _, m := range []meaning{meansAuthority, meansMember, meansClient} {
		if found[m] {
			chosen, exact = m, append(exact, short[m]+"/"+name)
		}
	}
	switch {
	case found[meansExactly]:
		return meansExactly, nil
	case len(exact) > 1:
		return meansOther, &AmbiguousNameError{Name: name, Exact: exact}
	case chosen == meansOther && found[meansFormerly]:
		return meansFormerly, nil
	}
	return chosen, nil
}
