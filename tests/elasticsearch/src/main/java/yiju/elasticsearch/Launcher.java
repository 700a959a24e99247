package yiju.elasticsearch;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one node: {@code Launcher HOME PORT_FILE key=value...}. Writes the HTTP port to PORT_FILE when it serves. Ends
 * on SIGTERM, and when stdin closes, that is, when whoever started it is gone.
 */
public final class Launcher {
    private static final String NODE = "yiju-test";

    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder().put("path.home", arguments[0]).put("node.name", NODE);
        for (int i = 2; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        LogConfigurator.setNodeName(NODE);
        LogConfigurator.configureESLogging();
        Environment environment = new Environment(settings.build(), Path.of(arguments[0], "config"));
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
                PluginsLoader.loadModulesBundles(environment.modulesDir()),
                PluginsLoader.loadPluginsBundles(environment.pluginsDir()),
                Map.of());
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        tell(Path.of(arguments[1]), node);
        while (System.in.read() >= 0) {
            // Nothing is asked of this process; only the end counts.
        }
        System.exit(0);
    }

    private static void tell(Path portFile, Node node) throws Exception {
        int port = node.injector()
                .getInstance(HttpServerTransport.class)
                .boundAddress()
                .publishAddress()
                .getPort();
        Path part = portFile.resolveSibling(portFile.getFileName() + ".part");
        Files.writeString(part, Integer.toString(port));
        Files.move(part, portFile, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
