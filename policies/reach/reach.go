// Package reach follows packets: given the intent, the nodes and Pods of a cluster and any set
// of policies, it says who reaches which port of which member, and which rule decides. It uses
// no network and says nothing to the user.
package reach

import (
	"net/netip"

	"github.com/etcdsec/etcdsec/audit"
)

// Class says what kind of sender a source is.
type Class string

// The classes, in the order of the matrix.
const (
	ClassMember    Class = "member"
	ClassAPIServer Class = "api-server"
	ClassScraper   Class = "scraper"
	ClassBackup    Class = "backup"
	ClassNode      Class = "node" // the host of a node that is none of the above
	ClassPod       Class = "pod"
	ClassOutside   Class = "outside"
)

// Flow is whether one source reaches one port of one member.
type Flow struct {
	From      string     `json:"from"`
	FromClass Class      `json:"from_class"`
	FromCount int        `json:"from_count"` // how many senders have this outcome
	FromAddr  netip.Addr `json:"from_address"`
	// SeenAs is the address that the member's host sees, which is that of a node where Pods are masqueraded.
	SeenAs  netip.Addr `json:"seen_as"`
	To      string     `json:"to"`
	ToAddr  netip.Addr `json:"to_address"`
	Port    uint16     `json:"port"`
	Allowed bool       `json:"allowed"`
	Wanted  bool       `json:"wanted"`
	// Unavoidable is set on what no policy can keep out: a Pod's own node.
	Unavoidable bool     `json:"unavoidable,omitempty"`
	Decision    Decision `json:"decision"`
	DecidedBy   string   `json:"decided_by"` // the decision in words
	// Unknown says why it could not be told; Allowed then means nothing.
	Unknown string `json:"unknown,omitempty"`
}

// Violation is an invariant that does not hold.
type Violation struct {
	Invariant string         `json:"invariant"` // kebab-case, stable
	Severity  audit.Severity `json:"severity"`
	From      []string       `json:"from"`
	FromClass Class          `json:"from_class"`
	FromCount int            `json:"from_count"` // how many senders From stands for
	To        []string       `json:"to"`
	Ports     []uint16       `json:"ports"`
	Text      string         `json:"text"`
	DecidedBy []string       `json:"decided_by"`
	reached   bool           // the senders reach the ports, and are not to
	// Fix is what mends it; FixText has its lines in one.
	FixText string            `json:"fix"`
	Fix     audit.Remediation `json:"fix_lines"`
}

// Proof is what Prove found. It holds if nothing is violated and nothing unknown.
type Proof struct {
	Holds      bool        `json:"holds"`
	Flows      []Flow      `json:"flows"`
	Violations []Violation `json:"violations"`
	// Unknown is why some of it could not be told, each reason once.
	Unknown []string `json:"unknown"`
	// Assumed is what the proof rests on and the files do not say.
	Assumed []string `json:"assumed"`
}
