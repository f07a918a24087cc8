package policies

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// NftablesTable returns the name of the only table that etcdsec writes for a cluster, of family inet. A
// host may have members of several clusters.
func NftablesTable(cluster string) string { return FormerNftablesTable + "-" + cluster }

// FormerNftablesTable is the name that the table had for every cluster. A host of one that was loaded
// then still has it.
const FormerNftablesTable = "etcdsec"

// FormerTable finds in a live ruleset the former table of the cluster of the wanted rules. Clusters on
// one host have different ports, by which their tables are told apart.
func FormerTable(want, live *nft.Ruleset) (nft.Table, bool) {
	var ports []nft.Range
	for _, t := range want.Tables {
		ports = append(ports, portsOf(t)...)
	}
	for _, t := range live.Tables {
		ours := slices.ContainsFunc(portsOf(t), func(r nft.Range) bool {
			return slices.ContainsFunc(ports, func(p nft.Range) bool {
				return r.From.Number <= p.To.Number && p.From.Number <= r.To.Number
			})
		})
		if t.Family == "inet" && t.Name == FormerNftablesTable && ours {
			return t, true
		}
	}
	return nft.Table{}, false
}

// portsOf returns the ports that the rules of a table look at.
func portsOf(t nft.Table) []nft.Range {
	var ports []nft.Range
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			for _, s := range r.Statements {
				if s.Match != nil && slices.Equal(s.Match.Fields, []nft.Field{portField}) {
					for _, e := range s.Match.Operand.Elements {
						ports = append(ports, e.Key...)
					}
				}
			}
		}
	}
	return ports
}

const portField nft.Field = "tcp dport"

// The table comes before what others filter at priority 0. Order decides nothing, since what
// one table drops no other brings back; it only spares them the packets.
const nftablesPriority = -10

func nftablesBackend() Backend {
	return Backend{
		Name: cluster.BackendNftables, Summary: "filters on every node; works everywhere",
		form: rulesetForm{}, files: nftablesStoreFiles,
		render: func(i *Intent, o RenderOptions) (Rendered, error) {
			rules := Nftables(i)
			if o.OtherNode {
				rules = NftablesForward(i)
			}
			return Rendered{Text: rules.Text(), Filters: Filters{Rules: rules}}, nil
		},
	}
}

// rulesFile is the name of the rules of nftables.
const rulesFile = "etcdsec.nft"

// nftablesStoreFiles lists the rules of each member's host, and those of every other node.
func nftablesStoreFiles(i *Intent) ([]File, error) {
	own, err := Render(i, cluster.BackendNftables, RenderOptions{})
	if err != nil {
		return nil, err
	}
	other, err := Render(i, cluster.BackendNftables, RenderOptions{OtherNode: true})
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(i.Members)+1)
	for _, m := range i.Members {
		files = append(files, File{m.Name, rulesFile, own.Text})
	}
	return append(files, File{"", rulesFile, other.Text}), nil
}

// rulesetForm reads the output of "nft -j list ruleset".
type rulesetForm struct{}

func (rulesetForm) recognizes(_ string, data []byte) bool { return findRuleset(data) >= 0 }

// findRuleset returns where the JSON of nft begins: at the first line, or behind lines that are none
// of it. It is negative if there is none.
func findRuleset(data []byte) int {
	const most = 64 << 10 // of such lines
	for at := 0; at < min(len(data), most); {
		rest, ok := bytes.CutPrefix(bytes.TrimSpace(data[at:min(len(data), at+256)]), []byte("{"))
		if ok && bytes.HasPrefix(bytes.TrimSpace(rest), []byte(`"nftables"`)) {
			return at
		}
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	return -1
}

// parseRuleset reads the JSON of nft. It passes over comments before it, but refuses any other line:
// that may be the reason why something is missing below.
func parseRuleset(file string, data []byte) (*nft.Ruleset, error) {
	at := findRuleset(data)
	number := 0
	for line := range bytes.Lines(data[:at]) {
		number++
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return nil, fmt.Errorf("%s:%d: %.80q is no JSON of nft: save only its standard output, and mend what it warns of", file, number, line)
		}
	}
	rules, err := nft.Parse(data[at:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rules, nil
}

func (rulesetForm) read(f *Filters, node, file string, data []byte) error {
	rules, err := parseRuleset(file, data)
	if err != nil {
		return err
	}
	switch {
	case node != "":
		f.NodeRules = append(f.NodeRules, NodeRules{Node: node, Rules: rules})
	case f.Rules != nil:
		return fmt.Errorf("%s is a second ruleset for every node; name the node of each one: NODE=%s", file, file)
	default:
		f.Rules = rules
	}
	return nil
}

func (rulesetForm) compare(d *Drift, node, file string, data []byte) error {
	if err := d.Intent.Refuse(cluster.BackendNftables); err != nil {
		return err
	}
	if node == "" {
		return &UnnamedNodeError{File: file, Example: d.Intent.Members[0].Name}
	}
	live, err := parseRuleset(file, data)
	if err != nil {
		return err
	}
	if !d.Intent.NodeFilter(node).Member {
		d.NotMembers = append(d.NotMembers, node)
	}
	d.rulesets = append(d.rulesets, liveRuleset{node, file, live})
	return nil
}

// NodeFilter is the packet filter that an intent has for one node.
type NodeFilter struct {
	Name   string
	Member bool // a member runs on the node, and Name is the member's
}

// NodeFilter returns the filter for the member or the node of that name. For any other name it returns
// the filter of a node without a member.
func (i *Intent) NodeFilter(name string) NodeFilter {
	for _, m := range i.Members {
		if m.Name == name || m.Node == name {
			return NodeFilter{m.Name, true}
		}
	}
	return NodeFilter{Name: name}
}

// Rules returns the rules that the node should have.
func (f NodeFilter) Rules(i *Intent) *nft.Ruleset {
	if f.Member {
		return Nftables(i)
	}
	return NftablesForward(i)
}

// String describes the node.
func (f NodeFilter) String() string {
	if f.Member {
		return "host of member " + f.Name
	}
	return "node without a member"
}

// Nftables returns the rules for every host that runs a member or soon will. They filter what arrives
// at etcd's ports, on any address of the host, and what the host forwards to any member. They are the
// same for each host.
func Nftables(i *Intent) *nft.Ruleset {
	r := nftables(i)
	t := &r.Tables[0]
	t.Chains = slices.Insert(t.Chains, 0, nftablesInput(i))
	t.Why = append(i.nftablesTitle("a host of a member"), t.Why...)
	return r
}

// NftablesForward returns the rules for every other node. They filter what it forwards to a member,
// but not the node's own ports, where something else may listen.
func NftablesForward(i *Intent) *nft.Ruleset {
	r := nftables(i)
	t := &r.Tables[0]
	t.Why = append(i.nftablesTitle("a node without a member"), t.Why...)
	return r
}

func (i *Intent) nftablesTitle(of string) []string {
	return []string{
		"Who may reach etcd of cluster " + i.Cluster + ": the rules for " + of + ".",
		"Load them with nft -f. That replaces this table in one step and touches no other.",
		"",
	}
}

func nftables(i *Intent) *nft.Ruleset {
	t := nft.Table{Family: "inet", Name: NftablesTable(i.Cluster), Why: []string{
		"No rule looks at connections, only at who sends to which port: a connection of somebody",
		"who may no longer reach etcd stops with the next packet, and those of others go on.",
		"What is let through here other tables may still drop.",
	}}
	for _, s := range nftablesSources(i) {
		for _, f := range nftablesFamilies {
			set := f.set(s)
			if len(set.Elements) > 0 {
				set.Why = s.why
				t.Sets = append(t.Sets, set)
			}
		}
	}
	t.Chains = append(t.Chains, nftablesForward(i, &t), nftablesOutput(i, &t), nftablesAllowed(i, &t))
	return &nft.Ruleset{Tables: []nft.Table{t}}
}

// nftablesSource is a role and the addresses that have it.
type nftablesSource struct {
	role  Role
	name  string
	hosts []netip.Addr
	nets  []netip.Prefix
	why   []string
}

func nftablesSources(i *Intent) []nftablesSource {
	members := []string{"The members: " + names(i.Members) + "."}
	if joining := slices.DeleteFunc(slices.Clone(i.Members), func(h Host) bool { return !h.Joining }); len(joining) > 0 {
		members = append(members, "About to join, and reachable before it is added: "+names(joining)+".")
	}
	return []nftablesSource{
		{role: Member, name: "members", hosts: i.MemberAddrs(), why: members},
		{role: APIServer, name: "apiservers", hosts: i.APIServerAddrs(), why: []string{"The API servers: " + names(i.APIServers) + "."}},
		{role: Scraper, name: "scrapers", nets: i.Scrapers, why: []string{"Who reads metrics."}},
		{role: Backup, name: "backups", nets: i.Backups, why: []string{"Who takes backups, as a client."}},
	}
}

func names(hosts []Host) string {
	var all []string
	for _, h := range hosts {
		all = append(all, h.Name)
	}
	return strings.Join(all, ", ")
}

// nftablesFamily is IPv4 or IPv6; a set holds addresses of one.
type nftablesFamily struct{ protocol, typ, suffix string }

var nftablesFamilies = []nftablesFamily{{"ip", "ipv4_addr", "4"}, {"ip6", "ipv6_addr", "6"}}

func (f nftablesFamily) set(s nftablesSource) nft.Set {
	if len(s.nets) > 0 {
		return nft.Networks(s.name+f.suffix, f.typ, s.nets)
	}
	return nft.Addrs(s.name+f.suffix, f.typ, s.hosts)
}

// matchSet matches an address of the packet against a set. It reports whether the table has the set.
func (f nftablesFamily) matchSet(t *nft.Table, field, set string) (nft.Statement, bool) {
	set += f.suffix
	has := slices.ContainsFunc(t.Sets, func(s nft.Set) bool { return s.Name == set })
	return nft.Statement{Match: &nft.Match{
		Fields: []nft.Field{nft.Field(f.protocol + " " + field)}, Op: "==", Operand: nft.Operand{Set: set},
	}}, has
}

func matchPorts(ports ...uint16) nft.Statement {
	return nft.Statement{Match: &nft.Match{Fields: []nft.Field{portField}, Op: "==", Operand: nft.Ports(ports...)}}
}

func verdict(kind, chain string) nft.Statement {
	return nft.Statement{Verdict: &nft.Verdict{Kind: kind, Chain: chain}}
}

var counter = nft.Statement{Neutral: "counter"}

func rule(comment string, s ...nft.Statement) nft.Rule {
	return nft.Rule{Statements: s, Comment: comment}
}

const allowedChain = "allowed"

func nftablesInput(i *Intent) nft.Chain {
	lo := nft.Statement{Match: &nft.Match{Fields: []nft.Field{"meta iif"}, Op: "==", Operand: nft.Text("lo")}}
	return nft.Chain{
		Name: "input", Type: "filter", Hook: "input", Priority: nftablesPriority, Policy: "accept",
		Why: []string{
			"What comes in at etcd's ports, to any address of this host. All else is left alone.",
			"A Pod on the host network sends with the address of its node, so nothing here can tell",
			"it from the node: keep such Pods off the hosts that are let in.",
		},
		Rules: []nft.Rule{
			rule("the host itself", lo, verdict("accept", "")),
			rule("", matchPorts(i.Ports.All()...), verdict("jump", allowedChain)),
			rule("nobody else", matchPorts(i.Ports.All()...), counter, verdict("drop", "")),
		},
	}
}

func nftablesForward(i *Intent, t *nft.Table) nft.Chain {
	c := nft.Chain{
		Name: "forward", Type: "filter", Hook: "forward", Priority: nftablesPriority, Policy: "accept",
		Why: []string{
			"What this node forwards to a member, such as what its Pods send. Afterwards it may have",
			"the address of the node, which the member would let in. Here it still has its own, and",
			"one that was sent to a Service has the member's already. A network that forwards past",
			"nftables, as Cilium does with BPF host routing, needs the policies of its own.",
		},
	}
	c.Rules = onlyAllowed(i, t)
	return c
}

// IPVS hands packets that it sends on to the output hook and not to forward (Linux,
// net/netfilter/ipvs/ip_vs_xmit.c, ip_vs_nat_send_or_cont).
func nftablesOutput(i *Intent, t *nft.Table) nft.Chain {
	c := nft.Chain{
		Name: "output", Type: "filter", Hook: "output", Priority: nftablesPriority, Policy: "accept",
		Why: []string{
			"The same where kube-proxy uses IPVS: what it sends on leaves here as if it were this",
			"host's own, and still has the address of the Pod.",
		},
	}
	c.Rules = onlyAllowed(i, t, nft.Statement{Match: &nft.Match{
		Fields: []nft.Field{"fib saddr type"}, Op: "!=", Operand: nft.Text("local"),
	}})
	return c
}

// onlyAllowed returns rules by which only senders that the chain "allowed" accepts reach the members.
// They apply to packets that also match more.
func onlyAllowed(i *Intent, t *nft.Table, more ...nft.Statement) []nft.Rule {
	var rules []nft.Rule
	for _, f := range nftablesFamilies {
		if members, has := f.matchSet(t, "daddr", "members"); has {
			match := append([]nft.Statement{members, matchPorts(i.Ports.All()...)}, more...)
			rules = append(rules,
				rule("", slices.Concat(match, []nft.Statement{verdict("jump", allowedChain)})...),
				rule("nobody else", slices.Concat(match, []nft.Statement{counter, verdict("drop", "")})...))
		}
	}
	return rules
}

func nftablesAllowed(i *Intent, t *nft.Table) nft.Chain {
	c := nft.Chain{Name: allowedChain, Why: []string{"Who may reach which port."}}
	for _, s := range nftablesSources(i) {
		ports := slices.DeleteFunc(i.Ports.All(), func(p uint16) bool { return !i.Reaches(s.role, p) })
		for _, f := range nftablesFamilies {
			if from, has := f.matchSet(t, "saddr", s.name); has {
				c.Rules = append(c.Rules, rule("", from, matchPorts(ports...), verdict("accept", "")))
			}
		}
	}
	return c
}
