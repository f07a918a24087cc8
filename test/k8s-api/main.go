// Command k8s-api reads manifests as an API server with strict validation does: an unknown or
// repeated field, a wrong type, and an invalid name or label are errors. Each argument is a file with
// one Secret. It prints a line for each: its type, namespace and name, and the names of its data.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: k8s-api FILE...")
		os.Exit(2)
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	failed := false
	for _, path := range os.Args[1:] {
		if err := check(decoder, path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(decoder runtime.Decoder, path string) error {
	manifest, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	object, kind, err := decoder.Decode(manifest, nil, nil)
	if err != nil {
		return err
	}
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("a %s, want a Secret", kind)
	}
	if err := validate(secret); err != nil {
		return err
	}
	keys := slices.Sorted(maps.Keys(secret.Data))
	fmt.Println(secret.Type, secret.Namespace+"/"+secret.Name, strings.Join(keys, " "))
	return nil
}

// validate checks a Secret as an API server does (kubernetes/kubernetes, pkg/apis/core/validation,
// ValidateSecret), as far as its code can be imported.
func validate(secret *corev1.Secret) error {
	faults := validation.ValidateObjectMeta(&secret.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	size := 0
	for key, value := range secret.Data {
		size += len(value)
		if len(value) == 0 {
			return fmt.Errorf("data[%s] is empty", key)
		}
	}
	if size > corev1.MaxSecretSize {
		return fmt.Errorf("%d bytes of data", size)
	}
	if secret.Type == corev1.SecretTypeTLS {
		for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if _, ok := secret.Data[key]; !ok {
				return errors.New("type " + string(secret.Type) + " without " + key)
			}
		}
	}
	return faults.ToAggregate()
}
