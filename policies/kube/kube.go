// Package kube has the objects of Kubernetes, Calico and Cilium that say who may reach what,
// in the shapes of their owners' APIs and with no more of them than decides about packets.
package kube

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// TypeMeta identifies the kind of an object.
type TypeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// ObjectMeta names an object.
type ObjectMeta struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// LabelSelector selects by labels; without any condition it selects everything.
type LabelSelector struct {
	MatchLabels      map[string]string     `json:"matchLabels,omitempty"`
	MatchExpressions []SelectorRequirement `json:"matchExpressions,omitempty"`
}

// SelectorRequirement is one condition: In, NotIn, Exists or DoesNotExist.
type SelectorRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// IntOrString is a port's number or name.
type IntOrString struct {
	Int    int32
	String string // empty for a number
}

// MarshalJSON writes a number as a number and a name as a string.
func (v IntOrString) MarshalJSON() ([]byte, error) {
	if v.String != "" {
		return json.Marshal(v.String)
	}
	return strconv.AppendInt(nil, int64(v.Int), 10), nil
}

// UnmarshalJSON reads either.
func (v *IntOrString) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*v = IntOrString{}
		return json.Unmarshal(data, &v.String)
	}
	n, err := strconv.ParseInt(string(data), 10, 32)
	if err != nil {
		return fmt.Errorf("%q is neither the number nor the name of a port", data)
	}
	*v = IntOrString{Int: int32(n)}
	return nil
}
