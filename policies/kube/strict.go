package kube

import (
	"encoding/json"
	"errors"
	"strings"

	kjson "sigs.k8s.io/json"
)

// lenient reads some fields of an object, and ignores the others.
func lenient[T any](d *decoder, data []byte, kept keep, into *[]T) error {
	var err error
	if d.buffer, err = prune(d.buffer[:0], data, kept); err != nil {
		return err
	}
	var object T
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.buffer, &object); err != nil {
		return err
	}
	*into = append(*into, object)
	return nil
}

// strictInto returns a function that decodes an object strictly and appends it.
func strictInto[T any](into *[]T, then func(*T)) func(data []byte) error {
	return func(data []byte) error {
		var object T
		if err := strict(data, &object); err != nil {
			return err
		}
		if then != nil {
			then(&object)
		}
		*into = append(*into, object)
		return nil
	}
}

// strict decodes an object. The error names the fields that are unknown or written twice. Status and
// other fields of metadata are ignored, because they decide nothing.
func strict(data []byte, into any) error {
	faults, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return err
	}
	var found []string
	for _, fault := range faults {
		path := ""
		if at, ok := errors.AsType[kjson.FieldError](fault); ok {
			path = at.FieldPath()
		}
		if isUnknownField(fault) && (path == "status" || strings.HasPrefix(path, "metadata.")) {
			continue
		}
		found = append(found, fault.Error())
	}
	if len(found) > 0 {
		return errors.New(strings.Join(found, ", "))
	}
	return nil
}

// isUnknownField reports whether a fault of UnmarshalStrict is a field that is not known, and not
// one that is there twice. The decoder tells the two apart by nothing but their text
// (sigs.k8s.io/json internal/golang/encoding/json/kubernetes_patch.go, unknownStrictErrType).
func isUnknownField(fault error) bool { return strings.HasPrefix(fault.Error(), "unknown field ") }

// decodeFelix reads the two lists of a FelixConfiguration. It has more than a hundred other fields;
// one of them lets other rules decide before Calico's, and is refused.
func decodeFelix(data []byte, into *[]FelixConfiguration) error {
	var more struct {
		Spec struct {
			ChainInsertMode string `json:"chainInsertMode"`
		} `json:"spec"`
	}
	var object FelixConfiguration
	faults, err := kjson.UnmarshalStrict(data, &object, kjson.DisallowDuplicateFields)
	if err = errors.Join(append(faults, err)...); err != nil {
		return err
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &more); err != nil {
		return err
	}
	if strings.EqualFold(more.Spec.ChainInsertMode, "append") {
		return errors.New("chainInsertMode: Append lets rules of others decide before Calico's")
	}
	*into = append(*into, object)
	return nil
}

// calicoMeta restores the labels that crd.projectcalico.org/v1 keeps in an annotation. Policies
// select host endpoints by them (projectcalico/calico libcalico-go/lib/backend/k8s/resources).
func calicoMeta(m ObjectMeta) ObjectMeta {
	var kept ObjectMeta
	if text := m.Annotations["projectcalico.org/metadata"]; text != "" && json.Unmarshal([]byte(text), &kept) == nil && len(m.Labels) == 0 {
		m.Labels = kept.Labels
	}
	return m
}
