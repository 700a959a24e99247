package yiju.elasticsearch;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.cjk.CJKBigramFilter;
import org.apache.lucene.analysis.cjk.CJKWidthFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.PreConfiguredTokenFilter;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.wltea.analyzer.lucene.IKAnalyzer;
import org.wltea.analyzer.lucene.IKTokenizer;

/**
 * {@code ik_smart} and {@code ik_max_word} as users' plugin names them, and of the module analysis-common the filters
 * that Yiju's mapping uses.
 */
public final class AnalysisIkPlugin extends Plugin implements AnalysisPlugin {
    private static final Map<String, Boolean> SMART = new TreeMap<>(Map.of("ik_smart", true, "ik_max_word", false));

    @Override
    public Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> getAnalyzers() {
        Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> analyzers = new TreeMap<>();
        SMART.forEach((key, smart) ->
                analyzers.put(key, (index, environment, name, settings) -> new IkAnalyzer(name, settings, smart)));
        return analyzers;
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        Map<String, AnalysisProvider<TokenizerFactory>> tokenizers = new TreeMap<>();
        SMART.forEach((key, smart) -> tokenizers.put(
                key, (index, environment, name, settings) -> new IkTokenizer(index, settings, name, smart)));
        return tokenizers;
    }

    @Override
    public List<PreConfiguredTokenFilter> getPreConfiguredTokenFilters() {
        return List.of(filter("cjk_bigram", CJKBigramFilter::new), filter("cjk_width", CJKWidthFilter::new));
    }

    private static PreConfiguredTokenFilter filter(String name, Function<TokenStream, TokenStream> create) {
        return PreConfiguredTokenFilter.singleton(name, false, create);
    }

    private static final class IkAnalyzer extends AbstractIndexAnalyzerProvider<Analyzer> {
        private final Analyzer analyzer;

        IkAnalyzer(String name, Settings settings, boolean smart) {
            super(name, settings);
            this.analyzer = new IKAnalyzer(smart);
        }

        @Override
        public Analyzer get() {
            return analyzer;
        }
    }

    private static final class IkTokenizer extends AbstractTokenizerFactory {
        private final boolean smart;

        IkTokenizer(IndexSettings index, Settings settings, String name, boolean smart) {
            super(index, settings, name);
            this.smart = smart;
        }

        @Override
        public Tokenizer create() {
            return new IKTokenizer(smart);
        }
    }
}
