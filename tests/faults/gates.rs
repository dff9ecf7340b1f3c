//! Ways into a cluster for clients that must prove who they are, and the certificates for that.

use std::path::{Path, PathBuf};

use crate::cluster::Listeners;
use crate::harness::Setup;

#[cfg(feature = "tls")]
mod certificates;

#[cfg(not(feature = "tls"))]
mod certificates {
    pub fn make(_: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
        Err("the daemon was built without the feature tls".into())
    }
}

/// How many there are, each with a port.
pub const GATES: usize = 4;

/// Who may do everything, and who only comes in.
pub const OWNER: &str = "alice";
pub const GUEST: &str = "guest";

/// The password of `user`.
pub fn password(user: &str) -> String {
    format!("{user}-of-the-tests")
}

/// The phrase that the client's key is locked with.
pub const PHRASE: &str = "locked-for-the-tests";

/// Listeners with TLS, all of which know one authority.
pub struct Gates {
    folder: PathBuf,
    ports: Vec<u16>,
}

impl Gates {
    /// Makes the certificates.
    ///
    /// # Errors
    /// Why that cannot be, in words.
    pub fn new(folder: &Path, ports: &[u16]) -> Result<Gates, String> {
        certificates::make(folder).map_err(|error| error.to_string())?;
        Ok(Gates {
            folder: folder.to_owned(),
            ports: ports.to_owned(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn at(&self, name: &str) -> String {
        let names = ["SASL", "MUTUAL", "EXPIRED", "ELSEWHERE"];
        let place = names.iter().position(|known| *known == name).unwrap();
        format!("127.0.0.1:{}", self.ports[place])
    }

    /// What the broker is told of them.
    pub fn listeners(&self) -> Listeners {
        let folder = self.folder.display();
        let address = |name: &str| format!(",{name}://{}", self.at(name));
        let users = [OWNER, GUEST];
        let plain = users.map(|user| format!("user_{user}=\"{}\"", password(user)));
        let scram = users.into_iter().flat_map(|user| {
            ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| {
                let password = password(user);
                format!("--add-scram={mechanism}=[name={user},password={password}]")
            })
        });
        let module = "org.apache.kafka.common.security";
        let addresses = ["SASL", "MUTUAL", "EXPIRED", "ELSEWHERE"]
            .map(address)
            .concat();
        Listeners {
            advertised: addresses.clone(),
            addresses,
            protocols: ",SASL:SASL_SSL,MUTUAL:SSL,EXPIRED:SSL,ELSEWHERE:SSL".into(),
            settings: format!(
                "ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.expired.ssl.keystore.location={folder}/expired.pem
listener.name.elsewhere.ssl.keystore.location={folder}/elsewhere.pem
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required {};
listener.name.sasl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required \
  unsecuredLoginStringClaim_sub=\"broker\";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{OWNER};User:CN={OWNER}
",
                plain.join(" ")
            ),
            format: scram.collect(),
        }
    }

    /// `setup` by way of the gate `name`, which shows its certificate.
    fn through(&self, setup: Setup, name: &str, protocol: &str) -> Setup {
        let authority = self.path("ca.pem").display().to_string();
        setup
            .set("kafka", "brokers", &format!("{:?}", self.at(name)))
            .set(
                "kafka.properties",
                "security.protocol",
                &format!("{protocol:?}"),
            )
            .set(
                "kafka.properties",
                "ssl.ca.location",
                &format!("{authority:?}"),
            )
    }

    /// With a certificate that is no longer valid.
    pub fn expired(&self, setup: Setup) -> Setup {
        self.through(setup, "EXPIRED", "ssl")
    }

    /// With another host's certificate.
    pub fn elsewhere(&self, setup: Setup) -> Setup {
        self.through(setup, "ELSEWHERE", "ssl")
    }

    /// Where the client shows a certificate too.
    pub fn mutual(&self, setup: Setup) -> Setup {
        let file = |name: &str| format!("{:?}", self.path(name).display().to_string());
        self.through(setup, "MUTUAL", "ssl")
            .set(
                "kafka.properties",
                "ssl.certificate.location",
                &file("client.crt"),
            )
            .set("kafka.properties", "ssl.key.location", &file("client.key"))
            .set("kafka.secrets", "ssl.key.password", "{ env = \"PHRASE\" }")
            .environment("PHRASE", PHRASE)
    }

    /// With a user's password, which is in the file `password` of the setup.
    pub fn sasl(&self, setup: Setup, mechanism: &str, user: &str) -> Setup {
        std::fs::write(setup.path("password"), password(user) + "\n").unwrap();
        self.through(setup, "SASL", "sasl_ssl")
            .set(
                "kafka.properties",
                "sasl.mechanism",
                &format!("{mechanism:?}"),
            )
            .set("kafka.properties", "sasl.username", &format!("{user:?}"))
            .set("kafka.secrets", "sasl.password", "{ file = \"password\" }")
    }

    /// With a token that `endpoint` gives for a secret.
    pub fn bearer(&self, setup: Setup, endpoint: &str) -> Setup {
        std::fs::write(setup.path("password"), password(OWNER)).unwrap();
        let setup = self.through(setup, "SASL", "sasl_ssl");
        let oauth = |key: &str| format!("sasl.oauthbearer.{key}");
        setup
            .set("kafka.properties", "sasl.mechanism", "\"OAUTHBEARER\"")
            .set("kafka.properties", &oauth("method"), "\"oidc\"")
            .set(
                "kafka.properties",
                &oauth("client.id"),
                &format!("{OWNER:?}"),
            )
            .set(
                "kafka.properties",
                &oauth("token.endpoint.url"),
                &format!("{endpoint:?}"),
            )
            .set(
                "kafka.secrets",
                &oauth("client.secret"),
                "{ file = \"password\" }",
            )
    }
}
