package reach

import "net/netip"

// truth tells whether a condition holds. It is maybe if the files do not tell.
type truth int8

const (
	no truth = iota
	maybe
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth { return yes - t }

func and(a, b truth) truth { return min(a, b) }
func or(a, b truth) truth  { return max(a, b) }

// verdict tells what one filter does with a packet.
type verdict struct {
	allowed bool
	unknown string  // why it could not be told
	by      *reason // nil if the filter has no opinion
	ruled   bool    // a rule let it pass, and not the lack of any
	// unavoidable is set if no policy could have stopped it.
	unavoidable bool
	// elsewhere tells how a host sends it on to another address or port, if it does.
	elsewhere string
	// seen is the source address that the next host sees, if the filter changes it.
	seen netip.Addr
}

// allow, deny and pass return the verdict of a rule that lets a packet through, of a rule that stops
// it, and of a filter that has no rule for it.
func allow(by *reason) verdict { return verdict{allowed: true, by: by, ruled: true} }
func deny(by *reason) verdict  { return verdict{by: by, ruled: true} }
func pass(by *reason) verdict  { return verdict{allowed: true, by: by} }

// cannotTell returns the verdict of a rule that may match and would decide.
func cannotTell(by *reason, why string) verdict { return verdict{by: by, unknown: why} }

// combine returns the verdict of several filters, in the order in which a packet meets them. A
// filter that surely denies decides, even if others are unknown. If all let the packet pass, the
// last one that has a rule for it decides, or the one that sends it elsewhere.
func combine(filters []verdict) verdict {
	var unknown, elsewhere *verdict
	decided := verdict{allowed: true}
	for i, v := range filters {
		switch {
		case v.unknown != "":
			if unknown == nil {
				unknown = &filters[i]
			}
		case !v.allowed:
			return v
		case v.elsewhere != "":
			elsewhere = &filters[i]
		case v.ruled || !decided.ruled && v.by != nil:
			decided = v
		}
	}
	switch {
	case unknown != nil:
		return *unknown
	case elsewhere != nil:
		return *elsewhere
	}
	return decided
}
