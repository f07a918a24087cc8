package kube

import (
	"encoding/json"
	"errors"
	"strings"

	kjson "sigs.k8s.io/json"
)

// lenient reads some fields of an object, and leaves the others alone.
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

// strictInto reads an object whose every field decides, and appends it.
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

// strict decodes and names the fields that are unknown or there twice. Status and what else
// there is in metadata decide nothing.
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

// decodeFelix reads the two lists of a FelixConfiguration. Of its hundred and more other fields
// one makes rules of others decide before Calico's.
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

// calicoMeta puts back what crd.projectcalico.org/v1 keeps in an annotation: the labels, by which
// policies select host endpoints (projectcalico/calico libcalico-go/lib/backend/k8s/resources).
func calicoMeta(m ObjectMeta) ObjectMeta {
	var kept ObjectMeta
	if text := m.Annotations["projectcalico.org/metadata"]; text != "" && json.Unmarshal([]byte(text), &kept) == nil && len(m.Labels) == 0 {
		m.Labels = kept.Labels
	}
	return m
}
