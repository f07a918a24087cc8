package reach

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/policies/kube"
)

// selector is a label selector of Kubernetes: every requirement must hold.
type selector []requirement

type requirement struct {
	key, operator string
	values        []string
}

// newSelector compiles a selector. The error says why the API server refuses it.
func newSelector(s kube.LabelSelector) (selector, error) {
	compiled := make(selector, 0, len(s.MatchLabels)+len(s.MatchExpressions))
	keys := make([]string, 0, len(s.MatchLabels))
	for k := range s.MatchLabels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		compiled = append(compiled, requirement{k, "In", []string{s.MatchLabels[k]}})
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case "In", "NotIn":
			if len(e.Values) == 0 {
				return nil, fmt.Errorf("matchExpressions: %s of %q has no values", e.Operator, e.Key)
			}
		case "Exists", "DoesNotExist":
			if len(e.Values) > 0 {
				return nil, fmt.Errorf("matchExpressions: %s of %q has values", e.Operator, e.Key)
			}
		default:
			return nil, fmt.Errorf("matchExpressions: unknown operator %q; want In, NotIn, Exists or DoesNotExist", e.Operator)
		}
		compiled = append(compiled, requirement{e.Key, e.Operator, e.Values})
	}
	return compiled, nil
}

func (s selector) matches(labels map[string]string) bool {
	for _, r := range s {
		value, there := labels[r.key]
		var ok bool
		switch r.operator {
		case "In":
			ok = there && slices.Contains(r.values, value)
		case "NotIn":
			ok = !there || !slices.Contains(r.values, value)
		case "Exists":
			ok = there
		default: // DoesNotExist
			ok = !there
		}
		if !ok {
			return false
		}
	}
	return true
}

// Selects reports whether a label selector matches labels. A selector that the API server refuses
// matches nothing.
func Selects(s kube.LabelSelector, labels map[string]string) bool {
	compiled, err := newSelector(s)
	return err == nil && compiled.matches(labels)
}

// SelectsCalico reports whether a selector of Calico's matches labels.
func SelectsCalico(text string, labels map[string]string) bool {
	s, err := newCalicoSelector(text)
	return err == nil && s.matches(func(key string) (string, bool) {
		v, ok := labels[key]
		return v, ok
	})
}
