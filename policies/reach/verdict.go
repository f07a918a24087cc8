package reach

// truth is whether a condition holds; maybe, where what was given does not say.
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

// verdict is what one filter makes of a packet.
type verdict struct {
	allowed bool
	unknown string    // why it could not be told
	by      *Decision // nil if the filter has no opinion
	ruled   bool      // a rule let it pass, and not the lack of any
	// unavoidable: no policy could have kept it out.
	unavoidable bool
}

// allow, deny and pass return the verdicts of a rule that lets a packet through, of one that
// stops it, and of a filter that lets it through for want of a rule.
func allow(by *Decision) verdict { return verdict{allowed: true, by: by, ruled: true} }
func deny(by *Decision) verdict  { return verdict{by: by, ruled: true} }
func pass(by *Decision) verdict  { return verdict{allowed: true, by: by} }

// cannotTell returns the verdict of a rule that may match and would decide.
func cannotTell(by *Decision, why string) verdict { return verdict{by: by, unknown: why} }

// every is the verdict of filters in the order in which a packet meets them. One that surely
// denies decides, whatever is unknown about the others. Where all let it pass, the last that
// has a rule for it is named.
func every(filters []verdict) verdict {
	var unknown *verdict
	decided := verdict{allowed: true, by: &Decision{Kind: ByNothing}}
	for i, v := range filters {
		switch {
		case v.unknown != "":
			if unknown == nil {
				unknown = &filters[i]
			}
		case !v.allowed:
			return v
		case v.ruled || !decided.ruled && v.by != nil:
			decided = v
		}
	}
	if unknown != nil {
		return *unknown
	}
	return decided
}
