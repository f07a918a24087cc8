package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// listMembers returns the members in the lists of a cluster's listeners, each once, in the order of the
// first list. It returns none if no list was read.
func listMembers(cluster *audit.EtcdCluster) []audit.Member {
	var all []audit.Member
	for _, t := range cluster.Of(audit.Client) {
		for _, m := range t.Members {
			if !slices.ContainsFunc(all, func(known audit.Member) bool { return known.ID == m.ID }) {
				all = append(all, m)
			}
		}
	}
	return all
}

// whyNotListed returns why no member list was read.
func whyNotListed(cluster *audit.EtcdCluster) string {
	return "the member list was not read: " + whyNone(cluster, audit.MemberListRPC)
}

// whyNone returns why no member of a cluster answered a call.
func whyNone(cluster *audit.EtcdCluster, method string) string {
	clients := cluster.Of(audit.Client)
	if len(clients) == 0 {
		return "no client port was audited; add the members' client endpoints"
	}
	reasons := make([]string, 0, len(clients))
	for _, t := range clients {
		reason := t.Unreached()
		if reason == "" {
			reason = whyNot(t, method)
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	return strings.Join(reasons, "; ")
}

// label names a member for people. A member that never started has no name.
func label(m audit.Member) string {
	if m.Name == "" {
		return fmt.Sprintf("member %x (%s)", m.ID, strings.Join(m.PeerURLs, ", "))
	}
	return fmt.Sprintf("member %q", m.Name)
}

// idOf returns the ID of a member as a word of a command.
func idOf(m audit.Member) audit.Word { return audit.Place{MemberID: m.ID}.Member() }

// code names a member in a finding's code.
func code(m audit.Member) string {
	if m.Name == "" {
		return fmt.Sprintf("%x", m.ID)
	}
	return m.Name
}

// owner returns the member that owns listener t, if it is known.
func owner(cluster *audit.EtcdCluster, t *audit.Listener) (audit.Member, bool) {
	all := listMembers(cluster)
	at := slices.IndexFunc(all, func(m audit.Member) bool { return t.MemberID != 0 && m.ID == t.MemberID })
	if at < 0 {
		// A member that told nothing is known by the URL that it is listed with.
		at = slices.IndexFunc(all, func(m audit.Member) bool {
			return slices.ContainsFunc(m.ClientURLs, func(url string) bool { return atAddress(url, t.Address) })
		})
	}
	if at < 0 {
		return audit.Member{}, false
	}
	return all[at], true
}

func atAddress(url, address string) bool {
	_, host, found := strings.Cut(url, "://")
	return found && strings.EqualFold(strings.TrimSuffix(host, "/"), address)
}

// nameListener returns the name of a listener in a finding: its member, or its address.
func nameListener(cluster *audit.EtcdCluster, t *audit.Listener) string {
	if m, found := owner(cluster, t); found {
		return label(m)
	}
	return t.Address
}

func countMembers(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}
