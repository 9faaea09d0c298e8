// The Hive metastore service of the tests, over the jars of pip's PySpark; Java compiles this file as it runs it.
//
//   java -cp CONF:JARS Metastore.java schema        makes all tables in the database of hive-site.xml
//   java -cp CONF:JARS Metastore.java serve PORT    serves on 127.0.0.1
//
// Hive's own main does neither: it listens on every address, and PostgreSQL locks itself up for good when DataNucleus
// makes the tables one by one inside the first statement that needs them.

import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.jdo.JDOHelper;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;
import org.datanucleus.api.jdo.JDOPersistenceManagerFactory;
import org.datanucleus.store.schema.SchemaAwareStoreManager;

public class Metastore {
  public static void main(String[] args) throws Exception {
    HiveConf conf = new HiveConf(HiveMetaStore.class);
    if (args[0].equals("schema")) {
      makeTables(conf);
    } else {
      serve(conf, Integer.parseInt(args[1]));
    }
    System.exit(0);
  }

  static void makeTables(HiveConf conf) throws Exception {
    Properties properties = new Properties();
    for (Map.Entry<String, String> entry : conf) {
      if (entry.getKey().matches("(javax\\.jdo|datanucleus)\\..*")) {
        properties.setProperty(entry.getKey(), entry.getValue());
      }
    }
    properties.remove("datanucleus.transactionIsolation");  // JDO knows it by another name
    String mapping = new String(
        HiveMetaStore.class.getResourceAsStream("/package.jdo").readAllBytes(), StandardCharsets.UTF_8);
    Set<String> classes = Pattern.compile("<class name=\"(\\w+)\"").matcher(mapping).results()
        .map((MatchResult found) -> "org.apache.hadoop.hive.metastore.model." + found.group(1))
        .collect(Collectors.toSet());
    var factory = (JDOPersistenceManagerFactory) JDOHelper.getPersistenceManagerFactory(properties);
    var store = (SchemaAwareStoreManager) factory.getNucleusContext().getStoreManager();
    store.createSchemaForClasses(classes, new Properties());
    factory.close();
    new HiveMetaStore.HMSHandler("schema", conf, true);  // adds the default database, the roles and the version
  }

  static void serve(HiveConf conf, int port) throws Exception {
    var handler = HiveMetaStore.newRetryingHMSHandler(new HiveMetaStore.HMSHandler("metastore", conf, false), conf, true);
    var socket = new TServerSocket(new InetSocketAddress("127.0.0.1", port));
    new TThreadPoolServer(new TThreadPoolServer.Args(socket).processor(new TSetIpAddressProcessor<>(handler))).serve();
  }
}
