// Package reach follows packets. From the intent, the nodes and Pods of a cluster and any set of
// policies, it works out who reaches which port of which member, and which rule decides. It uses no
// network and prints nothing.
package reach

import (
	"net/netip"

	"github.com/etcdsec/etcdsec/audit"
)

// Class is the kind of a sender.
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

// Flow tells whether one source reaches one port of one member.
type Flow struct {
	From      string     `json:"from"`
	FromClass Class      `json:"from_class"`
	FromCount int        `json:"from_count"` // how many senders have this outcome
	FromAddr  netip.Addr `json:"from_address"`
	// SeenAs is the source address that the member's host sees. For a masqueraded Pod it is the
	// address of its node.
	SeenAs  netip.Addr `json:"seen_as"`
	To      string     `json:"to"`
	ToAddr  netip.Addr `json:"to_address"`
	Port    uint16     `json:"port"`
	Allowed bool       `json:"allowed"`
	Wanted  bool       `json:"wanted"`
	// Unavoidable is set if no policy can stop the flow, as from a Pod's own node.
	Unavoidable bool `json:"unavoidable,omitempty"`
	// Decision is shared with other flows, and never nil.
	Decision  *Decision `json:"decision"`
	DecidedBy string    `json:"decided_by"` // the decision in words
	// Unknown tells why the outcome is not known. Allowed then means nothing.
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
	// Fix has the lines that mend it; FixText joins them.
	FixText string            `json:"fix"`
	Fix     audit.Remediation `json:"fix_lines"`
}

// Proof is the result of Prove. It holds if nothing is violated and nothing is unknown.
type Proof struct {
	Holds      bool        `json:"holds"`
	Flows      []Flow      `json:"flows"`
	Violations []Violation `json:"violations"`
	// Unknown lists why some outcomes are not known, each reason once.
	Unknown []string `json:"unknown"`
	// Assumed lists what the proof depends on and the files do not show.
	Assumed []string `json:"assumed"`
}
