package audit

// Member is an entry of the member list.
type Member struct {
	ID         uint64
	Name       string // empty until it has started for the first time
	PeerURLs   []string
	ClientURLs []string
	IsLearner  bool
}
