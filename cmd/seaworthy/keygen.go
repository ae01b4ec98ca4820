package main

import (
	"bytes"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// passwordFlag gives a verb --password-file.
func passwordFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("password-file", "", "file whose first line is the password of the private key (default: SEAWORTHY_PASSWORD or COSIGN_PASSWORD, else it is asked for)")
}

// password is where the password of a private key comes from: a file, the environment, or the person. confirm asks
// twice. It is never taken from the command line, where others can see it.
func (a *app) password(file string, confirm bool) ([]byte, error) {
	if file != "" {
		b, err := a.readSmall(file, key.MaxFileBytes)
		line, _, _ := bytes.Cut(b, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), err
	}
	for _, name := range []string{"SEAWORTHY_PASSWORD", "COSIGN_PASSWORD"} {
		if p, ok := os.LookupEnv(name); ok {
			return []byte(p), nil
		}
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "the private key needs a password, and there is no terminal to ask for it").
			WithHint("set SEAWORTHY_PASSWORD, or give --password-file; an empty one is possible")
	}
	defer tty.Close()
	ask := func(prompt string) ([]byte, error) {
		if _, err := tty.WriteString(prompt); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "asking for the password")
		}
		p, err := term.ReadPassword(int(tty.Fd()))
		_, _ = tty.WriteString("\n") // the person's own key was not shown
		return p, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the password")
	}
	p, err := ask("Password of the private key: ")
	if err != nil || !confirm {
		return p, err
	}
	again, err := ask("The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p, again) {
		return nil, seaworthy.Errorf(seaworthy.Usage, "the two passwords are not the same")
	}
	return p, nil
}

// privateKey reads a private key file. Its password is asked for only when it has one.
func (a *app) privateKey(name, passwordFile string) (key.Private, error) {
	b, err := a.readSmall(name, key.MaxFileBytes)
	if err != nil {
		return key.Private{}, err
	}
	k, err := key.ParsePrivate(b, func() ([]byte, error) { return a.password(passwordFile, false) })
	return k, seaworthy.Wrap(err, seaworthy.Invalid, "reading private key %q", name)
}

func newKeygen(a *app) *cobra.Command {
	var kind, name, importFile string
	var force bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key to sign with",
		Long: `Keygen makes a key pair: NAME.key, protected by a password, and NAME.pub, to give to others. The files are those of
cosign, and each of the two can use the other's. --import takes a private key that exists, in PEM.`,
		Example: "  seaworthy keygen --name release\n  SEAWORTHY_PASSWORD= seaworthy keygen --kind ed25519\n  seaworthy keygen --import old.pem --name release",
		GroupID: trustGroup,
		Args:    takes("seaworthy keygen"),
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "ecdsa-p256", "kind of key: "+strings.Join(key.Kinds(), ", "))
	f.StringVar(&name, "name", "seaworthy", "name of the files, without .key and .pub")
	f.StringVar(&importFile, "import", "", "take the private key from this file: EC, RSA or PKCS #8 in PEM, or one of cosign's")
	f.BoolVar(&force, "force", false, "replace files that exist")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(key.Kinds(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	passwordFile := passwordFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if !force {
			for _, end := range []string{".key", ".pub"} {
				if _, err := os.Lstat(name + end); err == nil {
					return seaworthy.Errorf(seaworthy.Conflict, "writing %q: it exists", name+end).WithHint("choose another --name; --force replaces the key, which cannot be had back")
				}
			}
		}
		k, err := a.newKey(kind, importFile, *passwordFile)
		if err != nil {
			return err
		}
		password, err := a.password(*passwordFile, true)
		if err != nil {
			return err
		}
		if len(password) == 0 {
			a.warn("the password is empty: who can read %q can sign", name+".key")
		}
		sealed, err := k.Seal(password)
		if err != nil {
			return err
		}
		if err := writeKeyFile(name+".key", sealed, 0o600, force); err != nil {
			return err
		}
		if err := writeKeyFile(name+".pub", k.Public().PEM(), 0o644, force); err != nil {
			return err
		}
		a.note("wrote %s and %s: %s, %s", name+".key", name+".pub", k.Public().Kind(), k.Public().Digest())
		return nil
	}
	return cmd
}

func (a *app) newKey(kind, importFile, passwordFile string) (key.Private, error) {
	if importFile != "" {
		return a.privateKey(importFile, passwordFile)
	}
	return key.Generate(kind)
}

// writeKeyFile writes a file with the given mode, durably. Without replace it must not exist.
func writeKeyFile(name string, b []byte, mode os.FileMode, replace bool) error {
	if replace {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) { // a file that is kept would keep its mode
			return seaworthy.Wrap(err, seaworthy.Storage, "replacing %q", name)
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing %q", name)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return seaworthy.Wrap(err, seaworthy.Storage, "writing %q", name)
}
