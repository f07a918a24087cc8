package audit

// MatchGlob reports whether all of s matches a pattern, in which * matches any text and ? matches one
// byte. Every other character matches itself, including brackets: a pattern may be a target as reports
// write it, such as [fd00::11]:2379.
func MatchGlob(pattern, s string) bool {
	// star is where the last * was, and from what part of s on it was tried: a mismatch lets it
	// take one byte more. An earlier * need never be tried again.
	star, from := -1, 0
	p := 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
